"""Options that several commands share."""

import argparse
from collections.abc import Iterator

import pytest

from copl_core.cli.main import build_parser
from plugin_packages import run_python


def commands(parser: argparse.ArgumentParser, name: str = "copl") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """All sub-commands that have none themselves."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, parser
    for action in below:
        for word, each in action.choices.items():
            yield from commands(each, f"{name} {word}")


COMMANDS = dict(commands(build_parser()))
CHANGE_CONFIGS = [name for name, parser in COMMANDS.items() if "--cfg-options" in parser._option_string_actions]


def required(parser: argparse.ArgumentParser) -> list[str]:
    """A word for each argument that a command can't do without."""
    return ["x" for action in parser._actions if not action.option_strings]


def test_the_commands_that_change_configs_are_found():
    assert {"copl train", "copl config check", "copl data prepare", "copl bench data"} <= set(CHANGE_CONFIGS)


@pytest.mark.parametrize("name", CHANGE_CONFIGS)
def test_config_options_given_twice_all_count(name):
    parser = COMMANDS[name]
    words = required(parser)

    given = parser.parse_args([*words, "--cfg-options", "a=1", "b=2", "--cfg-options", "c=3"])

    assert given.cfg_options == ["a=1", "b=2", "c=3"]
    # What one call was given is not left for the next.
    assert parser.parse_args(words).cfg_options == []


def test_reading_the_command_line_imports_nothing_that_a_single_command_needs():
    code = (
        "import sys\n"
        "from copl_core.cli.main import build_parser\n"
        "build_parser()\n"
        "print({'mmengine', 'numpy', 'yaml', 'rich', 'torch', 'copl_core.config'} & set(sys.modules))\n"
    )
    assert run_python("-c", code).stdout == "set()\n"


def test_experiments_given_twice_are_all_checked():
    given = COMMANDS["copl plugins check"].parse_args([".", "--config", "a.yaml", "--config", "b.yaml"])

    assert [path.name for path in given.config] == ["a.yaml", "b.yaml"]
