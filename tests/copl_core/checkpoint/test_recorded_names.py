"""Trained files keep the components they were made with, whatever is installed later."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import copl_core
from copl_core.checkpoint import PROMPTS_FILE, Header, read_header
from copl_core.checkpoint.header import FORMAT_VERSION, METADATA_KEY, PROMPTS
from copl_core.plugins import ComponentTable, get_table
from copl_core.plugins.project import seen_as_installed
from copl_core.plugins.scaffold import write_plugin
from exports import export_untrained

OURS = {"kind": "tuner", "name": "copl", "plugin": "copl_prompts", "distribution": "copl", "version": "0.1.0"}
THEIRS = {"kind": "mapper", "name": "gated", "plugin": "copl_gated", "distribution": "copl-gated", "version": "1.0"}


def written(folder: Path, model: dict, components: dict) -> Header:
    """The header of a file that holds these."""
    header = Header(encoders={}, model=model, components=components, scores={}, seed=0, protocol="standard",
                    copl_version="0.1.0")  # fmt: skip
    document = {"format": PROMPTS, "format_version": FORMAT_VERSION, **dataclasses.asdict(header)}
    save_file({"a": np.zeros(1)}, folder / PROMPTS_FILE, {METADATA_KEY: json.dumps(document)})
    return read_header(folder)


@pytest.mark.parametrize(
    ("block", "component", "expected"),
    [
        ({"type": "gated"}, THEIRS, "copl_gated.gated"),
        ({"type": "copl_gated.gated"}, THEIRS, "copl_gated.gated"),
        ({"type": "copl"}, OURS, "copl"),
        ({"type": "copl_prompts.copl"}, OURS, "copl"),
        # Without the distribution, or with another component at that place, nothing is known.
        ({"type": "gated"}, {key: value for key, value in THEIRS.items() if key != "distribution"}, "gated"),
        ({"type": "other"}, THEIRS, "other"),
        ({"type": ["gated"]}, THEIRS, ["gated"]),
    ],
)
def test_a_name_becomes_that_of_the_recorded_component(tmp_path, block, component, expected):
    model = {"encoders": {}, "task": {}, "tuner": {"parts": [{"list": block}]}}

    header = written(tmp_path, model, {"tuner.parts.0.list": component})

    assert header.model["tuner"] == {"parts": [{"list": {"type": expected}}]}


@pytest.mark.parametrize(
    "path", ["", ".", "tuner.x", "tuner.parts.7", "tuner.parts.x", "tuner.parts.0.type.y", "nowhere"]
)
def test_a_place_that_is_not_there_is_passed_over(tmp_path, path):
    model = {"encoders": {}, "task": {}, "tuner": {"parts": [{"type": "gated"}]}}

    assert written(tmp_path, model, {path: THEIRS}).model == model


def test_an_export_outlives_the_installation_of_another_package_with_the_same_name(tmp_path, demo_root, monkeypatch):
    for project in ("lowrank", "unrelated"):
        write_plugin(project, "mapper", ComponentTable(), tmp_path / project)
        entry = tmp_path / project / f"copl_{project}" / "__init__.py"
        entry.write_text(entry.read_text().replace(f'name="{project}"', 'name="low_rank"'))
    options = [f"task.dataset.root={demo_root}", "tuner.prompts.interaction.mapper={type: low_rank, width: 3}"]

    with seen_as_installed(tmp_path / "lowrank"):
        session = export_untrained(tmp_path / "export", "avs_swin_nano_shared.yaml", *options)
        header = read_header(tmp_path / "export")
        with seen_as_installed(tmp_path / "unrelated"):
            assert len([each for each in get_table().components("mapper") if each.name == "low_rank"]) == 2

            loaded = copl_core.load(tmp_path / "export", device="cpu")

    assert header.model["tuner"]["prompts"]["interaction"]["mapper"]["type"] == "copl_lowrank.low_rank"
    modules = {type(module).__module__ for module in loaded.model.tuner.modules()}
    assert "copl_lowrank.mapper" in modules
    assert "copl_unrelated.mapper" not in modules
    for name, tensor in session.model.tuner.state_dict().items():
        assert torch.equal(loaded.model.tuner.state_dict()[name], tensor), name
