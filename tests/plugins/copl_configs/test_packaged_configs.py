"""The configs of the repository, as they are found where there is no repository."""

import shutil

import pytest

from copl_core.config import load_config
from copl_core.plugins import get_table
from plugin_packages import ROOT, copl, pip_install

DEMO = "demo/avs_swin_nano_shared.yaml"
#: What the distribution is built from.
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "copl_core", "plugins", "configs")


def test_a_packaged_config_is_that_of_the_repository(repository, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"_base_: copl::{DEMO}\nseed: 5\n")

    assert load_config(f"copl::{DEMO}") == load_config(repository / "configs" / DEMO)
    assert load_config(tmp_path / "mine.yaml") == {**load_config(repository / "configs" / DEMO), "seed": 5}


def test_all_of_them_are_there(repository):
    folder = get_table().find_configs("copl").path()

    assert folder.resolve() == repository / "configs"


@pytest.mark.slow
def test_they_come_with_an_installation_that_is_no_checkout(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    site = pip_install(source, site=tmp_path / "site")
    shutil.rmtree(source)
    (tmp_path / "mine.yaml").write_text(f"_base_: copl::{DEMO}\nschedule: {{epochs: 3}}\n")

    shown = copl("config", "show", "mine.yaml", "--origin", paths=[site], cwd=tmp_path)
    checked = copl("config", "check", "mine.yaml", "copl::ave_swin_shared.py", paths=[site], cwd=tmp_path)

    assert "epochs: 3  # mine.yaml:2" in shown.stdout
    assert f"batch_size: 8  # {site}/copl_configs/configs/_base_/schedules/demo.yaml:" in shown.stdout
    assert checked.stdout == "mine.yaml: no problems\ncopl::ave_swin_shared.py: no problems\n", checked.stderr
    for path in (ROOT / "configs").rglob("*.*"):
        packaged = site / "copl_configs" / path.relative_to(ROOT)
        assert packaged.read_bytes() == path.read_bytes()
