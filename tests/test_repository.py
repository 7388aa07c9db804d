"""Promises about the repository as a whole."""

import re
from importlib.metadata import entry_points
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; mypy brings the backport
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").exists())


def test_every_plugin_folder_has_an_entry_point_and_the_other_way_round():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["copl.plugins"]
    assert sorted(declared) == sorted(declared.values()) == PLUGINS
    installed = {point.name for point in entry_points(group="copl.plugins") if point.dist.name == "copl"}
    assert installed == set(declared), "run `pip install -e .` again"


def imports(path: Path) -> set[str]:
    return set(re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_core_names_no_plugin():
    for path in (ROOT / "copl_core").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & set(PLUGINS), path


def test_mmengine_stays_behind_engine_and_config():
    for path in [*(ROOT / "copl_core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        if any(name.split(".")[0] == "mmengine" for name in imports(path)):
            assert path.relative_to(ROOT).parts[:2] in {("copl_core", "engine"), ("copl_core", "config")}, path


def test_plugins_use_the_public_rooms_of_the_core_only():
    public = {"copl_core.api", "copl_core.contracts", "copl_core.data"}
    for path in (ROOT / "plugins").rglob("*.py"):
        used = {name for name in imports(path) if name.split(".")[0] == "copl_core"}
        assert used <= public, path
