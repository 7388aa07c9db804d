"""Every way of being broken, installed at once: the demo still trains, and the list tells the state of each."""

import json
from pathlib import Path
from typing import Any

import pytest

from plugin_packages import ROOT, copl

HOOK = "@hookimpl\ndef copl_components():\n    return [ComponentSpec({components})]\n"
BROKEN = {
    "needs_more": "import not_there\n" + HOOK,
    "exits": "import sys\nsys.exit(3)\n" + HOOK,
    "misspells": HOOK.replace("copl_components", "copl_component"),
    "too_new": "@hookimpl\ndef copl_api_version():\n    return (7, 8)\n" + HOOK,
}
TWIN = HOOK.format(components="'bank', 'twin', 'm:C'")
STATES = {
    "needs_more": ("failed", "ModuleNotFoundError: No module named 'not_there'"),
    "exits": ("failed", "SystemExit: 3"),
    "misspells": ("failed", "unknown hook 'copl_component'"),
    "too_new": ("incompatible", "made for plugin API 7 to 8, this copl has 1"),
    "same_id": ("failed", "plugin id 'same_id' is also that of "),
    "twin_a": ("loaded", ""),
    "twin_b": ("loaded", ""),
}


@pytest.fixture
def broken(site: Any) -> Path:
    """A folder in which all of them are installed."""
    for plugin, code in BROKEN.items():
        site.add(plugin, code.format(components="'bank', 'unseen', 'm:C'"))
    for plugin in ("twin_a", "twin_b"):
        site.add(plugin, TWIN)
    for distribution in ("one", "two"):
        site.add("same_id", TWIN, distribution=distribution)
    folder: Path = site.folder
    return folder


def test_the_list_tells_the_state_of_each(broken: Path) -> None:
    done = copl("plugins", "list", "--json", paths=[broken])

    assert done.returncode == 0
    listed = json.loads(done.stdout)
    strangers = [plugin for plugin in listed["plugins"] if plugin["distribution"] != "copl"]
    assert len(strangers) == len(STATES) + 1
    for plugin in strangers:
        state, error = STATES[plugin["name"]]
        assert (plugin["state"], error in plugin["error"]) == (state, True), plugin
    twins = [(each["plugin"], each["state"]) for each in listed["components"] if each["name"] == "twin"]
    assert twins == [("twin_a", "ambiguous"), ("twin_b", "ambiguous")]
    ours = {plugin["state"] for plugin in listed["plugins"] if plugin["distribution"] == "copl"}
    assert ours == {"loaded"}
    assert len(done.stderr.splitlines()) == len(BROKEN) + 2


@pytest.mark.slow
def test_the_demo_still_trains(broken: Path, demo_root: Path, tmp_path: Path) -> None:
    config = str(ROOT / "configs" / "demo" / "avs_swin_nano_shared.yaml")
    small = ["schedule.epochs=1", "schedule.batch_size=4", "schedule.workers=0", "task.head.channels=8"]
    options = ["--device", "cpu", "--cfg-options", f"task.dataset.root={demo_root}", *small]

    trained = copl("train", config, "--work-dir", str(tmp_path / "run"), *options, paths=[broken])

    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "run" / "export" / "prompts.safetensors").is_file()
    assert "plugin 'exits' (exits 1.0) is not loaded: SystemExit: 3" in trained.stderr

    # A name that nothing provides is an error, which now recalls what is not there.
    asked = copl("train", config, "--work-dir", str(tmp_path / "other"), *options,
                 "tuner.prompts.interaction.bank={type: unseen}", paths=[broken])  # fmt: skip
    assert asked.returncode == 2
    assert "no bank named 'unseen'." in asked.stderr
    assert "needs_more (ModuleNotFoundError: No module named 'not_there')" in asked.stderr
