"""copl bench: what a training step costs with several tuners, side by side; ``data``: what reading the clips costs."""

import argparse
from typing import Any

from copl_core.cli.bench import data, tuners


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command; without an action it measures tuners."""
    parser = subparsers.add_parser(
        "bench", help="compare tuners by time and memory; time the data", description=__doc__
    )
    tuners.add_options(parser)
    actions = parser.add_subparsers(dest="action", metavar="data CONFIG")
    data.add_parser(actions)
