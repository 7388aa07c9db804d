"""copl plugins new: write a package with one working component, its test, an experiment and a README."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    from copl_core.plugins.scaffold import TEMPLATE_KINDS

    parser = subparsers.add_parser("new", help="write a new plugin package", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="of the component, in snake_case")
    parser.add_argument("--kind", choices=TEMPLATE_KINDS, required=True, help="what it is; a task brings all its parts")
    parser.add_argument("--folder", type=Path, help="where to (default: copl-NAME, here)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write, and say what to do next."""
    from copl_core.plugins import get_table
    from copl_core.plugins.scaffold import Names, write_plugin

    files = write_plugin(options.name, options.kind, get_table(), options.folder)
    for path in files:
        print(path)
    folder = options.folder or Path(Names.of(options.name, options.kind).distribution)
    print(f'\nNext: cd {folder} && pip install -e ".[dev]" && pytest')
    return 0
