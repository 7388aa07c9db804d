"""copl plugins: list the installed components and the state of every plugin."""

import argparse
from typing import Any


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("plugins", help="list components and plugins", description=__doc__)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print two tables. Imports no component."""
    from rich.console import Console
    from rich.table import Table

    from copl_core.plugins import get_table

    table = get_table()
    console = Console()
    components = Table("kind", "name", "plugin", "summary", box=None)
    for component in table.components():
        components.add_row(component.kind, component.name, component.plugin, component.summary)
    console.print(components)
    plugins = Table("plugin", "distribution", "state", "error", box=None)
    for status in table.statuses:
        plugins.add_row(status.name, f"{status.distribution} {status.version}", status.state, status.error)
    console.print()
    console.print(plugins)
    return 0
