"""``copl report`` and ``copl compare`` before there is anything to draw."""

import pytest

from copl_core.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "absent"], "copl report: no folder absent"),
        (["report", ".", "--examples", "-1"], "copl report: --examples -1: must be at least 0"),
        (["report", "."], "copl report: . is no work dir: it has no config.yaml"),
        (["compare", "absent"], "copl compare: give at least two work dirs"),
        (["compare", "absent", "gone", "--examples", "-1"], "copl compare: --examples -1: must be at least 0"),
        (["compare", "absent", "gone"], "copl compare: no folder absent"),
    ],
)
def test_mistakes_are_one_message(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 2

    told = capsys.readouterr().err
    assert told.startswith(message)
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_without_jinja2_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)

    assert main(["report", str(tmp_path), "--no-test"]) == 2

    assert "pip install 'copl[report]'" in capsys.readouterr().err
