"""copl serve from the command line: mistakes before the server starts."""

import re
import shlex
import sys

import pytest

from copl_core.cli.main import build_parser, main


def test_without_gradio_the_extra_is_named(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["serve", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "copl serve: the page needs gradio: pip install 'copl[web]'\n"


@pytest.mark.parametrize("option", ["--port=70000", "--max-upload=0"])
def test_numbers_out_of_range_are_told(option, tmp_path, capsys) -> None:
    assert main(["serve", str(tmp_path), option]) == 2
    assert option.replace("=", " ") in capsys.readouterr().err


def test_commands_of_the_page_are_understood(repository) -> None:
    page = (repository / "docs" / "serve.md").read_text(encoding="utf-8")
    commands = re.findall(r"^copl (serve .*)$", page, re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)).prompts
