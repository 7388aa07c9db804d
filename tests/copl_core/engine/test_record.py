"""What a work dir tells of how its run was made."""

import json
import platform
import sys
from importlib.metadata import version

import pytest
import torch

import copl_core
from copl_core.api import ConfigError
from copl_core.checkout import commit
from copl_core.engine.build import build_session
from copl_core.engine.record import describe_start, package_versions, record_start
from copl_core.plugins import ComponentTable, PluginStatus, get_table
from copl_core.results import RUN_FILE

CPU = torch.device("cpu")


@pytest.fixture
def session(experiment):
    checked, registry = experiment("seed=7")
    return build_session(checked, registry, ("train",))


def test_a_start_is_described(session, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["copl", "train", "a config.py", "--seed", "7"])
    start = describe_start(session, get_table(), CPU)
    assert start == json.loads(json.dumps(start))
    assert start["command"] == "copl train 'a config.py' --seed 7"
    assert (start["seed"], start["protocol"], start["device"], start["processes"]) == (7, "standard", "cpu", 1)
    assert start["python"] == platform.python_version()
    assert start["commit"] == commit()
    for package in ("torch", "timm", "mmengine", "numpy", "safetensors"):
        assert start["packages"][package] == version(package)
    assert start["packages"]["copl"] == copl_core.__version__
    assert {each["plugin"] for each in start["plugins"]} == {status.name for status in get_table().statuses}
    assert start["components"]["tuner.prompts.interaction.bank"] == {
        "kind": "bank",
        "name": "copl_prompts.prompt_bank",
        "distribution": "copl",
        "version": version("copl"),
        "target": "copl_prompts.bank:PromptBank",
    }


def test_every_resume_adds_an_entry_and_keeps_the_others(session, tmp_path, monkeypatch):
    for argument in ("first", "second", "third"):
        monkeypatch.setattr(sys, "argv", ["copl", argument])
        record_start(tmp_path, session, get_table(), CPU)
    starts = json.loads((tmp_path / RUN_FILE).read_text())["starts"]
    assert [start["command"] for start in starts] == ["copl first", "copl second", "copl third"]
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"starts": 5}', "\xff"])
def test_a_damaged_record_is_not_overwritten(session, tmp_path, text):
    path = tmp_path / RUN_FILE
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"run\.json.*move .* away"):
        record_start(tmp_path, session, get_table(), CPU)
    assert path.read_bytes() == text.encode("latin-1")


def test_the_distributions_of_plugins_and_what_they_require_are_among_the_packages():
    statuses = [
        PluginStatus("x", "pytest", "1", "loaded"),
        PluginStatus("y", "not-installed-any-more", "1", "failed", "gone"),
    ]
    packages = package_versions(ComponentTable(statuses=statuses))
    # pytest needs pluggy and iniconfig always, and other packages only for its extra "dev".
    assert {"pytest", "iniconfig", "pluggy", "torch", "copl"} <= set(packages)
    assert not {"not-installed-any-more", "hypothesis", "xmlschema"} & set(packages)


def test_a_plugin_that_failed_is_recorded_with_its_error(session):
    table = ComponentTable([], (), [PluginStatus("foo", "copl-foo", "0.3", "failed", "ImportError: nope")])
    (plugin,) = describe_start(session, table, CPU)["plugins"]
    assert plugin == {
        "plugin": "foo",
        "distribution": "copl-foo",
        "version": "0.3",
        "state": "failed",
        "error": "ImportError: nope",
    }
