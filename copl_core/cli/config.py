"""copl config: check configs, show what they resolve to, compare them, write their JSON Schema. Imports no torch."""

import argparse
import json
from typing import Any

from copl_core.cli.common import add_cfg_options


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command and its own."""
    parser = subparsers.add_parser("config", help="check, show and compare configs", description=__doc__)
    commands = parser.add_subparsers(dest="config_command", required=True)

    check = commands.add_parser("check", help="find everything wrong with configs; exit code 2 if anything is")
    check.add_argument("configs", nargs="+", metavar="FILE", help="a .py or .yaml config of a whole experiment")
    check.set_defaults(run=run_check)

    show = commands.add_parser("show", help="print a config with all its bases as one YAML document")
    show.add_argument("config", metavar="FILE", help="a .py or .yaml config")
    show.add_argument("--origin", action="store_true", help="say of each value in which file and line it was written")
    show.set_defaults(run=run_show)

    diff = commands.add_parser("diff", help="print how two resolved configs differ; exit code 1 if they do")
    diff.add_argument("first", metavar="A", help="a .py or .yaml config, e.g. config.yaml of a work dir")
    diff.add_argument("second", metavar="B", help="another one")
    diff.set_defaults(run=run_diff)

    schema = commands.add_parser("schema", help="print the JSON Schema of config files, of everything installed")
    schema.set_defaults(run=run_schema)

    for command in (check, show):
        add_cfg_options(command, "change config values")


def run_check(options: argparse.Namespace) -> int:
    """Check every file; name those that are all right."""
    from copl_core.api import ConfigError
    from copl_core.config import check_config, load_config
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    registry = Registry(get_table())
    errors = []
    for path in options.configs:
        try:
            check_config(load_config(path, options.cfg_options), registry, path)
        except ConfigError as error:
            errors.append(str(error))
        else:
            print(f"{path}: no problems")
    if errors:
        raise ConfigError("\n".join(errors))
    return 0


def run_show(options: argparse.Namespace) -> int:
    """Print the resolved config."""
    from copl_core.config import dump_config, load_config, usable
    from copl_core.config.explain import show_origins

    config = usable(load_config(options.config, options.cfg_options), options.config)
    print(show_origins(config) if options.origin else dump_config(config), end="")
    return 0


def run_diff(options: argparse.Namespace) -> int:
    """Print the differences."""
    from copl_core.config import load_config, usable
    from copl_core.config.explain import differences

    first, second = (usable(load_config(path), path) for path in (options.first, options.second))
    lines = list(differences(first, second))
    if lines:
        print(f"--- {options.first}\n+++ {options.second}")
        print("\n".join(lines))
    return 1 if lines else 0


def run_schema(options: argparse.Namespace) -> int:
    """Print the schema."""
    from copl_core.config.json_schema import config_schema
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    print(json.dumps(config_schema(Registry(get_table())), indent=2))
    return 0
