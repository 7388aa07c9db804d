"""copl data synth: write a small generated data set in the form of a published one, to try things on."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copl_core.cli.data.common import add_workers_option

if TYPE_CHECKING:
    from copl_core.contracts import Generator


def add_parser(actions: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = actions.add_parser("synth", help="write a generated data set", description=__doc__)
    parser.add_argument("task", metavar="TASK", help="name of a generator: that of the data set that reads its files")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to create")
    parser.add_argument("--videos", type=int, metavar="N", help="of all splits together (default: the generator's own)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (%(default)s)")
    add_workers_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write and say what is there."""
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    generator: Generator = Registry(get_table()).resolve("generator", options.task)()
    print(generator.write(options.out, videos=options.videos, seed=options.seed, workers=max(1, options.workers)))
    return 0
