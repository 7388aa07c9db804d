"""LAVISH's adapter against its formula, written out here token by token."""

import pytest
import torch

from copl_lavish.adapter import Bottleneck, GroupedLinear, LatentAttention, LavishAdapter
from helpers import randomize

BT, N, M, D = 3, 5, 4, 8
EPS = 1e-5


def tokens(seed: int, n: int = N, width: int = D) -> torch.Tensor:
    return torch.randn(BT, n, width, generator=torch.Generator().manual_seed(seed))


def softmax(logits: list[torch.Tensor]) -> list[torch.Tensor]:
    powers = [logit.exp() for logit in logits]
    return [power / sum(powers) for power in powers]


def attend(query: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    weights = softmax([query @ row for row in rows])
    return sum(weight * row for weight, row in zip(weights, rows, strict=True))


def layer_norm(row: torch.Tensor, norm: torch.nn.LayerNorm) -> torch.Tensor:
    return (row - row.mean()) / (row.var(unbiased=False) + EPS).sqrt() * norm.weight + norm.bias


def batch_norm(rows: torch.Tensor, norm: torch.nn.BatchNorm1d) -> torch.Tensor:
    """(items, channels) with the statistics of all items."""
    return (rows - rows.mean(0)) / (rows.var(0, unbiased=False) + EPS).sqrt() * norm.weight + norm.bias


def dense(layer: GroupedLinear) -> torch.Tensor:
    """The grouped projection as one block-diagonal matrix (source, target)."""
    return torch.block_diag(*layer.weight)


def plain(adapter: LavishAdapter, own: torch.Tensor, other: torch.Tensor, *, form: str, bn: bool) -> torch.Tensor:
    """The four lines of the adapter. ``form``: ave, avs (gate before the norm, none before) or ungated."""
    attention, bottleneck = adapter.attention, adapter.bottleneck
    rows = []
    for x, y in zip(own, other, strict=True):
        z = torch.stack([latent + attend(latent, y) for latent in attention.latents])
        for token in x:
            row = token + attention.gate * attend(token, z)
            rows.append(row if form == "avs" else layer_norm(row, bottleneck.norm_before))
    hidden = torch.stack(rows) @ dense(bottleneck.down)
    hidden = batch_norm(hidden, bottleneck.norm_down) if bn else hidden
    out = torch.where(hidden > 0, hidden, 0) @ dense(bottleneck.up)
    out = batch_norm(out, bottleneck.norm_up) if bn else out
    if form == "avs":
        rows = [layer_norm(bottleneck.gate * row, bottleneck.norm_after) for row in out]
    else:
        gate = 1 if form == "ungated" else bottleneck.gate
        rows = [gate * layer_norm(row, bottleneck.norm_after) for row in out]
    return torch.stack(rows).reshape(own.shape)


def make(form: str = "ave", *, bn: bool = True, other_width: int = D) -> LavishAdapter:
    adapter = LavishAdapter(
        other_width=other_width,
        attention=LatentAttention(width=D, latents=3),
        bottleneck=Bottleneck(
            width=D,
            reduction=2,
            groups=2,
            batch_norm=bn,
            gated=form != "ungated",
            norm_order="gate_before" if form == "avs" else "gate_after",
            norm_before=form != "avs",
        ),
    )
    randomize(adapter, std=0.5)
    return adapter


@pytest.mark.parametrize("bn", [True, False])
@pytest.mark.parametrize("form", ["ave", "avs", "ungated"])
def test_adapter_is_its_formula(form, bn):
    adapter, own, other = make(form, bn=bn), tokens(1), tokens(2, M)
    expected = plain(adapter, own, other, form=form, bn=bn)
    assert torch.allclose(adapter(own, other), expected, atol=1e-4)


def test_other_widths_are_mapped_to_the_own_one_first():
    adapter, own, other = make(bn=False, other_width=6), tokens(1), tokens(2, M, 6)
    mapped = other @ adapter.match_width.weight.T + adapter.match_width.bias
    assert torch.allclose(adapter(own, other), plain(adapter, own, mapped, form="ave", bn=False), atol=1e-4)
    assert not list(make().match_width.parameters())


@pytest.mark.parametrize("bn", [True, False])
@pytest.mark.parametrize("form", ["ave", "ungated"])
def test_gradients_reach_every_parameter(form, bn):
    adapter = make(form, bn=bn, other_width=6)
    (adapter(tokens(1), tokens(2, M, 6)) * tokens(3)).sum().backward()
    assert [name for name, p in adapter.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_grouped_linear_starts_like_torchs_convolution():
    torch.manual_seed(0)
    ours = GroupedLinear(source=256, target=128, groups=2).weight
    theirs = torch.nn.Conv1d(256, 128, 1, groups=2, bias=False).weight
    assert ours.numel() == theirs.numel()
    assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=1e-3)
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=2e-2)


@pytest.mark.parametrize(("init", "low", "high"), [("uniform", 0.0, 1.0), ("normal", -0.2, 0.2), ("zeros", 0.0, 0.0)])
def test_initial_latents(init, low, high):
    latents = LatentAttention(width=64, latents=4, init=init).latents
    assert latents.min() >= low
    assert latents.max() <= high
    assert (latents.std() > 0) == (init != "zeros")


def test_zero_latents_act_as_one_for_ever():
    attention = LatentAttention(width=D, latents=3, init="zeros")
    torch.nn.init.ones_(attention.gate)
    (attention(tokens(1), tokens(2, M)) * tokens(3)).sum().backward()
    assert attention.latents.grad.abs().sum() > 0
    assert torch.allclose(attention.latents.grad, attention.latents.grad[:1].expand(3, -1), atol=1e-5)


@pytest.mark.parametrize("sizes", [{"reduction": 3}, {"groups": 8}, {"reduction": 0}, {"groups": -1}])
def test_sizes_that_do_not_divide_the_width_are_refused(sizes):
    with pytest.raises(ValueError, match="not divisible"):
        Bottleneck(**({"width": D, "reduction": 2, "groups": 2, "batch_norm": False} | sizes))


def test_no_latents_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        LatentAttention(width=D, latents=0)
