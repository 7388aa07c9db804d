"""Entry point: parse, run one sub-command, turn a user's mistake into one message and exit code 2."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

import copl_core
from copl_core.api import CoplError
from copl_core.cli import (
    bench,
    compare,
    config,
    data,
    export,
    inspect,
    params,
    plugins,
    predict,
    report,
    serve,
    sweep,
    test,
    train,
)

COMMANDS = (train, test, predict, serve, report, compare, sweep, export, inspect, bench, params, config, data, plugins)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="copl", description="Collaborative prompt learning on frozen encoders.")
    parser.add_argument("--version", action="version", version=f"copl {copl_core.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``copl``.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code: 0, 2 for a user's mistake, 130 after Ctrl-C, 141 if nobody reads the output.
    """
    options = build_parser().parse_args(arguments)
    # Plugins that can't be loaded are told through this logger, one line each.
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        code: int = options.run(options)
    except CoplError as error:
        print(f"copl {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (``copl params ... | head``); Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code
