"""``copl bench``: what it reads, what it counts, what it prints."""

import json

import pytest
import torch

from copl_core.api import ConfigError
from copl_core.bench import Probe, Setup, encoder_block, tuner_setup
from copl_core.cli.main import main
from copl_core.config import Compute
from copl_core.plugins import get_table
from copl_core.registry import Registry

NANO = {"type": "swin_nano", "weights": "none"}


@pytest.fixture(scope="module")
def registry():
    return Registry(get_table())


def setup(tuner, **compute):
    return Setup(
        label="x", visual=NANO, audio="shared", tuner=tuner, compute=Compute(**compute), frames=2, batch=1, threads=1
    )


def read(text, registry, repository, task="ave"):
    presets = repository / "configs/_base_/tuners"
    return tuner_setup(
        text, presets=presets, task=task, registry=registry, visual=NANO, audio="shared", frames=2, batch=1
    )


def test_an_encoder_is_a_backbone_or_a_model_that_one_knows(registry):
    assert encoder_block("swin_nano", registry) == NANO
    name = "swinv2_large_window12_192"
    assert encoder_block(name, registry) == {"type": "swin", "model": name, "weights": "none"}
    with pytest.raises(ConfigError, match="no backbone named 'resnet50'"):
        encoder_block("resnet50", registry)


def test_a_tuner_is_a_preset_of_the_task_or_a_registered_one(registry, repository):
    assert read("copl", registry, repository).tuner["prompts"]["global"]["length"] == 20
    assert read("copl", registry, repository, task="avs").tuner["prompts"]["global"]["length"] == 30
    assert read("copl_nano", registry, repository).tuner["prompts"]["global"]["length"] == 10


def test_options_go_to_the_tuner_or_to_compute(registry, repository):
    made = read("copl:first_block=2:checkpointing=block:prompts.global.length=7", registry, repository)
    assert made.tuner["first_block"] == 2
    assert made.tuner["prompts"]["global"]["length"] == 7
    assert made.compute == Compute(checkpointing="block")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("coppl", "no tuner 'coppl'; installed: .*copl"),
        ("copl:first_blok=1", "first_blok"),
        ("copl:checkpointing=all", "checkpointing"),
    ],
)
def test_mistakes_are_named(registry, repository, text, message):
    with pytest.raises(ConfigError, match=message):
        read(text, registry, repository)


def test_frozen_encoders_keep_nothing():
    probe = Probe(setup({"type": "frozen"}))
    assert probe.trained == 0
    assert probe.saved_bytes() == 0
    assert probe.step() > 0


def test_kept_bytes_are_those_of_the_formula():
    """Per token of width d: queries, keys, values, attention output, two norm inputs (d each), hidden layer (4 d)."""
    length = 3
    probe = Probe(setup({"type": "vpt", "length": length}))
    blocks = probe.model.visual.blocks
    items, expected = 2 * 2 * 1, 0  # two modalities, T = 2, B = 1
    for handle in blocks:
        block = handle.block
        n, d, heads = block.window_area, handle.width, block.attn.num_heads
        windows = items * block.input_resolution[0] * block.input_resolution[1] // n
        rows = windows * n
        tokens = 4 * d + d + d + d + d  # hidden layer, both norms' inputs, queries, attention output
        keys = 2 * d * windows * (n + length)
        statistics = 4 * rows  # mean and deviation of both norms
        norms = windows * (n + n + length) * heads  # of queries and keys
        log_sums = rows * heads  # of the attention weights
        expected += 4 * (rows * tokens + keys + statistics + norms + log_sums)
    # Patch merging, final norm, head and prompts are the rest.
    assert expected < probe.saved_bytes() < 1.08 * expected


def test_a_step_moves_every_trained_tensor():
    probe = Probe(setup({"type": "lavish", "reduction": 4}))
    probe.step()
    gates = [p for name, p in probe.model.tuner.named_parameters() if name.endswith("bottleneck.gate")]
    assert gates
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in gates)
    assert torch.isfinite(torch.stack([p.grad.sum() for p in gates])).all()


@pytest.mark.slow
def test_the_command_measures_side_by_side(capsys, repository, monkeypatch):
    monkeypatch.chdir(repository)
    arguments = "bench --encoder swin_nano --tuners copl,copl:checkpointing=block,frozen --frames 2 --rounds 2"
    assert main([*arguments.split(), "--threads", "1", "--device", "cpu", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["tuner"] for row in rows] == ["copl", "copl:checkpointing=block", "frozen"]
    wanted = {"tuner", "trained", "time_s", "time_ratio", "forward_s", "saved_bytes", "saved_ratio", "peak_bytes"}
    assert all(wanted <= row.keys() for row in rows)
    whole, recomputed, frozen = rows
    assert whole["time_ratio"] == whole["saved_ratio"] == 1
    assert recomputed["saved_bytes"] < 0.3 * whole["saved_bytes"]
    assert recomputed["trained"] == whole["trained"] > 0
    assert frozen["saved_bytes"] == frozen["trained"] == 0
    assert frozen["time_s"] < whole["time_s"]
    assert all(row["peak_bytes"] > 100e6 for row in rows)


def test_mistakes_on_the_command_line(capsys, repository, monkeypatch):
    monkeypatch.chdir(repository)
    assert main(["bench", "--encoder", "swin_nano", "--tuners", "copl", "--rounds", "0"]) == 2
    assert "--rounds must be at least 1" in capsys.readouterr().err
