"""copl train: train, select on validation, export, test once."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copl_core.cli.common import add_config_options, load_experiment

if TYPE_CHECKING:
    from rich.console import Console

    from copl_core.config import Experiment
    from copl_core.engine import TrainResult


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("train", help="train a config", description=__doc__)
    add_config_options(parser)
    parser.add_argument("--work-dir", type=Path, help="default: work_dirs/<name of the config>")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, help="overrides the config's seed")
    seeds.add_argument(
        "--seeds",
        type=_seeds,
        metavar="N,N,...",
        help="one run for each of these seeds, in seed-<n> in the work dir, and their mean +- std; with --resume, "
        "finished ones are kept",
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in the work dir, if there is one")
    parser.add_argument(
        "--extend",
        choices=("stretch", "restart"),
        help="resume with more epochs than planned: the learning rates go on as if planned so from the start "
        "(stretch), or once more from the start over what is left (restart)",
    )
    parser.add_argument(
        "--launcher",
        choices=("none", "pytorch", "slurm"),
        default="none",
        help="who started this process as one of several: pytorch (torchrun) or slurm (srun)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train and print where the results are.

    Returns:
        0; after SIGTERM or SIGINT 143 or 130, with a line on how to resume.
    """
    seed = () if options.seed is None else (f"seed={options.seed}",)
    work_dir = options.work_dir or Path("work_dirs") / Path(options.config).stem
    if options.resume:
        _check_started(work_dir, options.seeds)
    experiment, registry = load_experiment(options, seed)

    from rich.console import Console

    from copl_core.engine.distributed import OtherRankError, launch, leave, rank
    from copl_core.engine.runner import pick_device
    from copl_core.engine.seeds import train_seeds
    from copl_core.engine.stop import StoppedError
    from copl_core.engine.train import train

    try:
        device = launch(options.launcher, pick_device(options.device))
        console = Console(soft_wrap=True, highlight=False, quiet=rank() > 0)

        def train_one(one: "Experiment", folder: Path) -> Mapping[str, float]:
            result = train(
                one,
                registry,
                work_dir=folder,
                device=device,
                resume=options.resume,
                extend=options.extend,
                console=console,
            )
            show(result, one.protocol, console)
            return result.scores

        if options.seeds is None:
            train_one(experiment, work_dir)
        else:
            train_seeds(experiment, options.seeds, train_one, work_dir=work_dir, resume=options.resume, console=console)
        code = 0
    except StoppedError as stopped:
        if rank() == 0:
            print(f"copl train: {stopped}", file=sys.stderr)
        code = 128 + stopped.signal
    except OtherRankError:
        code = 2
    # After any other error this rank ends at once: the others may be waiting for it, and parting would wait for them.
    leave()
    return code


def _check_started(work_dir: Path, seeds: Sequence[int] | None) -> None:
    """Refuse to resume what was trained with components that are gone; of these the config has only the names."""
    from copl_core.checkpoint import check_components
    from copl_core.plugins import get_table
    from copl_core.results import read_starts

    for folder in [work_dir] if seeds is None else [work_dir / f"seed-{seed}" for seed in seeds]:
        for start in read_starts(folder)[-1:]:
            check_components(folder, start.components, get_table(), whole=True)


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected whole numbers with commas between, got {text!r}") from None


def show(result: "TrainResult", protocol: str, console: "Console") -> None:
    """Print the test scores and where the files are."""
    mark = "" if protocol == "standard" else f" (protocol {protocol})"
    for name, value in result.scores.items():
        console.print(f"test {name} {value:.6f}{mark}")
    for path in sorted(result.export.glob("*.safetensors")):
        console.print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    console.print(str(result.examples))
