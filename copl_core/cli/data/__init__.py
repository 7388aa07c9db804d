"""copl data: from the downloads of a data set to training. One module an action."""

import argparse
from typing import Any

from copl_core.cli.data import check, prepare, stats, synth

ACTIONS = (check, prepare, stats, synth)


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("data", help="check, prepare, measure and generate data sets", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action in ACTIONS:
        action.add_parser(actions)
