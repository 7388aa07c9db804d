"""The baselines: full trains the encoders, vpt is CoPL with global prompts only; configs of all tuners."""

import dataclasses
from functools import partial

import pytest
import torch

from copl_core.checkpoint import PROMPTS_FILE, Header, fingerprint, load_trained, save_trained
from copl_core.config import load_config
from copl_core.contracts import Head
from copl_core.model import TwoStream
from copl_core.plugins import get_table
from copl_core.registry import Registry
from copl_prompts.copl import CoPL
from copl_prompts.full import Full
from copl_prompts.modal import GlobalPrompts
from copl_prompts.vpt import VPT
from helpers import randomize, tiny_swin

HEADER = Header(encoders={}, model={}, components={}, scores={}, seed=0, protocol="standard", copl_version="0.1.0")


class LinearHead(Head):
    """Two logits from both pooled features."""

    def __init__(self, *, visual, audio, frames, names):
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.classify = torch.nn.Linear(visual.width + audio.width, 2)

    def forward(self, visual, audio, batch):
        return {"logits": self.classify(torch.cat([visual.pooled, audio.pooled], -1))}

    def losses(self, predictions, batch):
        return {"loss": predictions["logits"].square().mean()}


def build(tuner, *, shared: bool = True, dim: int = 16) -> TwoStream:
    audio = None if shared else tiny_swin(dim=32, seed=4)
    return TwoStream(visual=tiny_swin(dim=dim), audio=audio, tuner=tuner, head=LinearHead, frames=2)


def batch() -> dict:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randn(2, 2, 3, 32, 32, generator=generator) for name in ("visual", "audio")}


@pytest.mark.parametrize("shared", [True, False])
def test_full_gives_every_parameter_of_the_encoders_a_gradient(shared):
    net, data = build(Full, shared=shared), batch()
    sum(net.losses(net(data), data).values()).backward()
    without = [name for name, p in net.encoders.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    assert any("patch_embed" in name for name, _ in net.encoders.named_parameters())


def test_full_counts_the_encoders_and_changes_no_feature():
    net, data = build(Full, shared=False), batch()
    size = sum(p.numel() for encoder in (net.visual, net.audio) for p in encoder.parameters())
    assert sum(p.numel() for _, p in net.additional_parameters()) == size
    visual, _ = net.encode(data["visual"].flatten(0, 1), data["audio"].flatten(0, 1))
    expected = net.visual.encoder.forward_features(data["visual"].flatten(0, 1)).flatten(1, 2)
    assert torch.allclose(visual.tokens, expected, atol=1e-5)


def test_full_leaves_the_encoders_in_the_prompts_file(tmp_path):
    net, other, data = build(Full), build(Full), batch()
    # An encoder is known by the weights it starts from, noted before the training.
    encoders = {"visual": {"identity": net.visual.identity(), "fingerprint": fingerprint(net.visual)}}
    randomize(net, seed=7)
    save_trained(tmp_path, net, dataclasses.replace(HEADER, encoders=encoders))
    assert (tmp_path / PROMPTS_FILE).stat().st_size > 4 * sum(p.numel() for p in net.encoders.parameters())
    load_trained(tmp_path, other, encoders)
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in other.state_dict().items())
    assert torch.equal(other(data).predictions["logits"], net(data).predictions["logits"])


@pytest.mark.parametrize("first_block", [0, 2])
def test_vpt_is_copl_with_global_prompts_only(first_block):
    vpt = build(partial(VPT, length=3, first_block=first_block))
    copl = build(partial(CoPL, prompts={"global": partial(GlobalPrompts, length=3)}, first_block=first_block))
    randomize(vpt.tuner, std=1.0)
    copl.tuner.load_state_dict(vpt.tuner.state_dict())
    copl.head.load_state_dict(vpt.head.state_dict())
    data = batch()
    assert vpt.tuner.first_block == first_block
    assert torch.equal(vpt(data).predictions["logits"], copl(data).predictions["logits"])
    widths = (16, 16, 32, 32)[first_block:]
    assert sum(p.numel() for _, p in vpt.additional_parameters()) == sum(2 * 3 * width for width in widths)


@pytest.mark.parametrize(
    "name",
    ["frozen", "full", "vpt", *(f"{peer}_{task}" for peer in ("lavish", "dgsct") for task in ("ave", "avs", "avqa"))],
)
def test_tuner_configs_build_a_tuner(name, repository):
    block = load_config(repository / "configs" / "_base_" / "tuners" / f"{name}.yaml")["tuner"]
    registry = Registry(get_table())
    assert registry.problems("tuner", block, "tuner") == []
    net = build(registry.factory("tuner", block, path="tuner"), dim=32)
    assert net(batch()).predictions["logits"].shape == (4, 2)
