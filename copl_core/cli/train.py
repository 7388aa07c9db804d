"""copl train: train, select on validation, export, test once."""

import argparse
from pathlib import Path
from typing import Any

from copl_core.cli.common import add_config_options, load_experiment


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("train", help="train a config", description=__doc__)
    add_config_options(parser)
    parser.add_argument("--work-dir", type=Path, help="default: work_dirs/<name of the config>")
    parser.add_argument("--seed", type=int, help="overrides the config's seed")
    parser.add_argument("--resume", action="store_true", help="continue the run in the work dir, if there is one")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train and print where the results are."""
    from rich.console import Console

    seed = () if options.seed is None else (f"seed={options.seed}",)
    experiment, registry = load_experiment(options, seed)

    from copl_core.engine import train
    from copl_core.engine.runner import pick_device

    console = Console(soft_wrap=True, highlight=False)
    work_dir = options.work_dir or Path("work_dirs") / Path(options.config).stem
    result = train(
        experiment,
        registry,
        work_dir=work_dir,
        device=pick_device(options.device),
        resume=options.resume,
        console=console,
    )
    mark = "" if experiment.protocol == "standard" else f" (protocol {experiment.protocol})"
    for name, value in result.scores.items():
        console.print(f"test {name} {value:.6f}{mark}")
    for path in sorted(result.export.glob("*.safetensors")):
        console.print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    console.print(str(result.examples))
    return 0
