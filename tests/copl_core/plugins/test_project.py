"""A project folder, seen as if it were installed."""

import os
import sys
from pathlib import Path

import pytest

from copl_core.api import PluginError
from copl_core.plugins import get_table
from copl_core.plugins.project import seen_as_installed

PYPROJECT = """
[project]
name = "far-away"
version = "2.5"
dependencies = ["copl{copl}"]

[project.entry-points."copl.plugins"]
far = "{module}"
"""
CODE = (
    "from copl_core.api import ComponentSpec, hookimpl\n"
    "@hookimpl\ndef copl_components():\n    return [ComponentSpec('loss', '{name}', 'm:C')]\n"
)


def project(folder: Path, module: str, *, copl: str = "", inside: str = "") -> Path:
    (folder / inside).mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(copl=copl, module=module))
    (folder / inside / f"{module}.py").write_text(CODE.format(name=module))
    return folder


@pytest.mark.parametrize("inside", ["", "src"])
def test_its_plugins_are_found_within_and_only_there(tmp_path: Path, inside: str) -> None:
    before = list(sys.path)
    with seen_as_installed(project(tmp_path, f"far_module_{inside}", inside=inside)) as distribution:
        component = get_table().find("loss", f"far_module_{inside}")
    assert distribution == component.distribution == "far-away"
    assert (component.plugin, component.version) == ("far", "2.5")
    assert sys.path == before
    assert "far" not in {status.name for status in get_table().statuses}


def test_it_wins_over_an_installed_copy(tmp_path: Path) -> None:
    with (
        seen_as_installed(project(tmp_path / "old", "far_old")),
        seen_as_installed(project(tmp_path / "new", "far_new")),
    ):
        names = {component.name for component in get_table().components() if component.plugin == "far"}

    assert names == {"far_new"}


def test_its_requirement_on_copl_counts(tmp_path: Path) -> None:
    with seen_as_installed(project(tmp_path, "far_later", copl=">=99")):
        (status,) = [status for status in get_table().statuses if status.name == "far"]

    assert status.state == "incompatible"
    assert "needs copl>=99" in status.error


def test_the_list_of_plugins_to_load_does_not_keep_it_out_but_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPL_LOAD_PLUGINS", "other")
    with seen_as_installed(project(tmp_path, "far_named")):
        assert get_table().find("loss", "far_named").plugin == "far"
    assert os.environ["COPL_LOAD_PLUGINS"] == "other"

    monkeypatch.setenv("COPL_DISABLE_PLUGINS", "far")
    with seen_as_installed(tmp_path):
        (status,) = [status for status in get_table().statuses if status.name == "far"]
    assert status.state == "disabled"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no project folder: cannot read pyproject.toml"),
        ("[project", "cannot read "),
        ("[project]\nname = 'x'", 'must have [project] with a name, and [project.entry-points."copl.plugins"]'),
    ],
)
def test_what_is_no_project_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)

    with pytest.raises(PluginError) as caught, seen_as_installed(tmp_path):
        pass

    assert message in str(caught.value)
