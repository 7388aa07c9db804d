"""What the sub-commands share: options and the way from a config file to a checked experiment."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copl_core.config import Experiment
    from copl_core.registry import Registry


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """CONFIG, --cfg-options and --device."""
    parser.add_argument("config", metavar="CONFIG", help="a .py or .yaml config")
    add_cfg_options(parser, "override config values, e.g. schedule.epochs=3 tuner.prompts.frame=None")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def add_cfg_options(parser: argparse.ArgumentParser, help: str) -> None:
    """--cfg-options, which may be given more than once: all of them count.

    Args:
        parser: Of a command.
        help: What they change there, with an example.
    """
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=help)


def load_experiment(options: argparse.Namespace, extra: tuple[str, ...] = ()) -> "tuple[Experiment, Registry]":
    """Read and check the config.

    Args:
        options: Parsed options with those of ``add_config_options``.
        extra: Further overrides, applied last.
    """
    from copl_core.config import check_config, load_config
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    registry = Registry(get_table())
    config = load_config(options.config, [*options.cfg_options, *extra])
    return check_config(config, registry, options.config), registry
