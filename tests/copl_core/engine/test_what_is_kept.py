"""What a resume state and an export keep: who has made each component, and nothing of where data lie."""

import dataclasses

import pytest
import torch

from copl_core.api import PluginError
from copl_core.config import check_config
from copl_core.engine.export import export_state, portable_model
from copl_core.engine.resume import PREVIOUS_FILE, RESUME_FILE, read_state
from copl_core.plugins import Component, ComponentTable, get_table
from copl_core.registry import Registry

PARTS = """
from pathlib import Path
from copl_core.contracts import Dataset

class Theirs(Dataset):
    def __init__(self, *, split: str, folder: Path, lists: Path | None = None, edition: str = "first"): ...
    def __len__(self): ...
    def __getitem__(self, index): ...
    def pictures(self, index): ...
"""
GATED = Component("mapper", "gated", "copl_gated.mapper:Gated", "", "copl_gated", "copl-gated", "0.1.0")


def test_a_resume_state_says_who_has_made_each_component(run):
    _, work_dir = run("schedule.epochs=1")

    components = read_state(work_dir / RESUME_FILE)["extra"]["components"]

    assert components["tuner"] == dataclasses.asdict(get_table().find("tuner", "copl"))
    assert {"encoders.visual", "task.dataset", "task.head", "tuner.prompts.interaction.bank"} <= set(components)


def test_a_state_whose_components_are_gone_names_their_distributions_before_anything_else(run, tmp_path):
    _, work_dir = run("schedule.epochs=1")
    state = read_state(work_dir / RESUME_FILE)
    path = "tuner.prompts.interaction.mapper"
    state["extra"]["components"][path] = dataclasses.asdict(GATED)
    state["extra"]["config"]["tuner"]["prompts"]["interaction"]["mapper"] = {"type": GATED.qualified}
    torch.save(state, work_dir / RESUME_FILE)
    (work_dir / PREVIOUS_FILE).unlink()

    with pytest.raises(PluginError) as caught:
        export_state(work_dir, tmp_path / "out", Registry(get_table()))

    assert str(caught.value) == (
        f"{work_dir} was trained with components that are not here:\n"
        f"  mapper 'gated' (plugin copl_gated) of copl-gated 0.1.0: install copl-gated, at {path}"
    )


@pytest.mark.parametrize("places", [{"folder": "/data/x"}, {"folder": "here", "lists": "/data/lists"}])
def test_an_export_holds_no_place_whatever_a_data_set_calls_it(experiment, tmp_path, monkeypatch, places):
    (tmp_path / "their_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    theirs = Component("dataset", "theirs", "their_parts:Theirs", "", "copl_theirs", "copl-theirs", "1.0")
    registry = Registry(ComponentTable([*get_table().components(), theirs]))
    source = experiment()[0].source
    config = {**source, "task": {**source["task"]}}
    config["task"]["dataset"] = {"type": "theirs", "edition": "second", **places}

    model = portable_model(check_config(config, registry, "a.yaml"))

    assert model["task"]["dataset"] == {"type": "copl_theirs.theirs", "edition": "second"}
    assert config["task"]["dataset"]["folder"] == places["folder"]


def test_an_export_of_ours_holds_no_place(experiment):
    ours, _ = experiment()

    assert not {"root", "media"} & set(portable_model(ours)["task"]["dataset"])
    assert "root" in ours.source["task"]["dataset"]
