"""copl compare: several runs side by side, as a web page that needs nothing but itself."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("compare", help="write several runs as a web page", description=__doc__)
    parser.add_argument("work_dirs", metavar="DIR", type=Path, nargs="+", help="work dirs of trainings, two at least")
    parser.add_argument(
        "--out", type=Path, default=Path("compare.html"), metavar="FILE", help="default: compare.html in this folder"
    )
    parser.add_argument(
        "--test", action="store_true", help="test the exports again: baselines, scores by class, clips side by side"
    )
    parser.add_argument(
        "--examples",
        type=int,
        default=3,
        metavar="N",
        help="with --test: clips on which the runs differ most (default 3)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="with --test: where to test")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from copl_core.api import ConfigError
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    if options.examples < 0:
        raise ConfigError(f"--examples {options.examples}: must be at least 0")

    from copl_core.engine.runner import pick_device
    from copl_core.report import compare_runs

    path, notes = compare_runs(
        options.work_dirs,
        Registry(get_table()),
        out=options.out,
        examples=options.examples,
        device=pick_device(options.device) if options.test else None,
    )
    for note in notes:
        print(f"copl compare: {note}", file=sys.stderr)
    print(path)
    return 0
