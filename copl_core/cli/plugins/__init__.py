"""copl plugins: what is installed, and help with writing more. One module an action."""

import argparse
from typing import Any

from copl_core.cli.plugins import check, info, listing, new

ACTIONS = (listing, info, check, new)


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command; without an action it lists."""
    parser = subparsers.add_parser("plugins", help="list, explain, check and start plugins", description=__doc__)
    parser.set_defaults(run=listing.run, kind=None, json=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for action in ACTIONS:
        action.add_parser(actions)
