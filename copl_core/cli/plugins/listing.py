"""copl plugins list: every component, config folder and plugin, with its state. Imports no component."""

import argparse
import dataclasses
import json
from typing import Any

from copl_core.api import KINDS


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = subparsers.add_parser("list", help="all components and plugins", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, help="only components of this kind")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print."""
    from copl_core.plugins import get_table

    table = get_table()
    components = [
        {**dataclasses.asdict(component), "state": table.naming(component)}
        for component in table.components(options.kind)
    ]
    configs = [
        {**dataclasses.asdict(folder), "state": table.naming_of_configs(folder), "path": str(folder.path())}
        for folder in table.configs()
    ]
    plugins = [dataclasses.asdict(status) for status in table.statuses]
    if options.json:
        print(json.dumps({"components": components, "configs": configs, "plugins": plugins}, indent=2))
        return 0
    _print_columns(("kind", "name", "plugin", "version", "state", "summary"), components)
    print()
    _print_columns(("configs", "plugin", "state", "path"), [{"configs": f"{c['name']}::", **c} for c in configs])
    print()
    _print_columns(
        ("plugin", "distribution", "version", "state", "error"), [{"plugin": p["name"], **p} for p in plugins]
    )
    return 0


def _print_columns(keys: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Print a table whose lines are never cut or broken, so that they can be searched and piped."""
    lines = [keys, *(tuple(str(row[key]) for key in keys) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(keys))]
    for line in lines:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
