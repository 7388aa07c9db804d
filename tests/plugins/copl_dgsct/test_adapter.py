"""DG-SCT's adapter against its formula, written out here token by token."""

import pytest
import torch
import torch.nn.functional as F

from copl_dgsct.adapter import DgsctAdapter, DualGuidance, GridAlignment, TokenAlignment
from copl_lavish.adapter import Bottleneck, LatentAttention
from helpers import randomize

BT, N, D = 3, 4, 8
OTHER_N, OTHER_D = 9, 6
ALPHA, BETA = 0.3, 0.05


def tokens(seed: int, n: int, width: int) -> torch.Tensor:
    return torch.randn(BT, n, width, generator=torch.Generator().manual_seed(seed))


def linear(x: torch.Tensor, layer: torch.nn.Linear) -> torch.Tensor:
    return layer.weight @ x + layer.bias


def relu(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, x, 0)


def sigmoid(x: torch.Tensor) -> torch.Tensor:
    return 1 / (1 + (-x).exp())


def plain_guidance(guidance: DualGuidance, own: torch.Tensor, aligned: torch.Tensor) -> torch.Tensor:
    out = []
    for x, y in zip(own, aligned, strict=True):
        c = sum(y) / len(y)
        u = sum(relu(linear(c, guidance.channel_guide)) * relu(linear(row, guidance.channel_own)) for row in x) / len(x)
        m_c = sigmoid(linear(relu(linear(u, guidance.channel_down)), guidance.channel_up))
        rows = []
        for row in x:
            agreement = relu(linear(row * (1 + m_c), guidance.spatial_own)) * relu(linear(c, guidance.spatial_guide))
            m_s = sigmoid(linear(agreement, guidance.spatial_score))
            rows.append(row * (ALPHA * m_c + BETA * m_s + 1 - ALPHA))
        out.append(torch.stack(rows))
    return torch.stack(out)


SHAPES = {"tokens": N, "width": D, "other_tokens": OTHER_N, "other_width": OTHER_D}


def make(align: type = TokenAlignment) -> DgsctAdapter:
    adapter = DgsctAdapter(
        align=align(**SHAPES),
        attention=LatentAttention(width=D, latents=3),
        guidance=DualGuidance(width=D, alpha=ALPHA, beta=BETA),
        bottleneck=Bottleneck(width=D, reduction=2, groups=2, batch_norm=True),
    )
    randomize(adapter, std=0.5)
    return adapter


def test_alignment_mixes_tokens_then_maps_widths():
    align, other = TokenAlignment(**SHAPES), tokens(1, OTHER_N, OTHER_D)
    out = align(other)
    assert out.shape == (BT, N, D)
    for item in range(BT):
        for n in range(N):
            mixed = sum(align.mix.weight[n, k, 0] * other[item, k] for k in range(OTHER_N)) + align.mix.bias[n]
            assert torch.allclose(out[item, n], linear(mixed, align.project), atol=1e-5)


def test_grid_alignment_maps_widths_then_interpolates_rows_and_columns():
    align, other = GridAlignment(**SHAPES), tokens(1, OTHER_N, OTHER_D)
    projected = other @ align.project.weight.T + align.project.bias
    expected = F.interpolate(projected.reshape(BT, 3, 3, D).permute(0, 3, 1, 2), size=(2, 2), mode="bicubic")
    assert torch.allclose(align(other), expected.permute(0, 2, 3, 1).reshape(BT, N, D), atol=1e-6)
    with pytest.raises(ValueError, match="square"):
        GridAlignment(**(SHAPES | {"other_tokens": 10}))


def test_guidance_is_its_formula():
    guidance = make().guidance
    own, aligned = tokens(1, N, D), tokens(2, N, D)
    assert torch.allclose(guidance(own, aligned), plain_guidance(guidance, own, aligned), atol=1e-5)


@pytest.mark.parametrize("align", [TokenAlignment, GridAlignment])
def test_adapter_chains_alignment_attention_guidance_and_bottleneck(align):
    adapter, own, other = make(align), tokens(1, N, D), tokens(2, OTHER_N, OTHER_D)
    aligned = adapter.align(other)
    attended = []
    for x, y in zip(own, aligned, strict=True):
        z = adapter.attention.latents + torch.softmax(adapter.attention.latents @ y.T, -1) @ y
        attended.append(x + adapter.attention.gate * torch.softmax(x @ z.T, -1) @ z)
    guided = plain_guidance(adapter.guidance, torch.stack(attended), aligned)
    assert torch.allclose(adapter(own, other), adapter.bottleneck(guided), atol=1e-4)


@pytest.mark.parametrize("align", [TokenAlignment, GridAlignment])
def test_gradients_reach_every_parameter(align):
    adapter = make(align)
    (adapter(tokens(1, N, D), tokens(2, OTHER_N, OTHER_D)) * tokens(3, N, D)).sum().backward()
    assert [name for name, p in adapter.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
