"""LAVISH as a tuner: the order of its steps, its start, its sizes."""

from functools import partial

import pytest
import torch

from copl_core.contracts import Block, Head, Layout, Pair, PairLayout
from copl_core.model import TwoStream, pair_blocks
from copl_lavish.tuner import LAVISH
from helpers import layout, randomize, tiny_swin

BT = 4


class StubBlock(Block):
    """One affine branch and one that is not, so that the order shows."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def attention(self, tokens, prompts=None):
        assert prompts is None
        return self.scale * tokens + 1

    def feedforward(self, tokens):
        return tokens.cos() * self.scale


class NoHead(Head):
    def forward(self, visual, audio, batch):
        return {}

    def losses(self, predictions, batch):
        return {}


def two_stream(tuner, audio=None) -> TwoStream:
    return TwoStream(visual=tiny_swin(), audio=audio, tuner=tuner, head=NoHead, frames=2)


def tokens(n: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(BT, n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("widths", "shared"), [((8, 8), True), ((8, 16), False)])
def test_step_is_the_published_order(widths, shared):
    tuner = LAVISH(layout=layout(widths=(widths,) * 2), reduction=2, batch_norm=False)
    randomize(tuner, std=0.3)
    block_v = StubBlock(0.5)
    block_a = block_v if shared else StubBlock(-0.7)
    visual, audio = tokens(5, widths[0], 1), tokens(5, widths[1], 2)
    out_v, out_a = tuner.step(Pair(index=1, visual=block_v, audio=block_a, shared=shared), visual, audio)

    first, second = tuner.beside_attention["1"], tuner.beside_feedforward["1"]
    middle_v = visual + block_v.attention(visual) + first.visual(visual, audio)
    middle_a = audio + block_a.attention(audio) + first.audio(audio, visual)
    assert torch.allclose(out_v, middle_v + block_v.feedforward(middle_v) + second.visual(middle_v, middle_a))
    assert torch.allclose(out_a, middle_a + block_a.feedforward(middle_a) + second.audio(middle_a, middle_v))


def test_steps_with_one_block_are_walked_plainly():
    tuner = LAVISH(layout=layout(widths=((8, None), (8, 8), (None, 8))), reduction=2)
    assert tuner.first_block == 1
    assert list(tuner.beside_attention) == list(tuner.beside_feedforward) == ["1"]
    visual, audio, block = tokens(5, 8, 1), tokens(5, 8, 2), StubBlock(0.5)
    out_v, out_a = tuner.step(Pair(index=0, visual=block, audio=None), visual, audio)
    middle = visual + block.attention(visual)
    assert torch.equal(out_v, middle + block.feedforward(middle))
    assert out_a is audio


@pytest.mark.parametrize("settings", [{}, {"norm_order": "gate_before"}, {"latent_init": "zeros", "batch_norm": False}])
@pytest.mark.parametrize("shared", [True, False])
def test_features_are_the_frozen_ones_at_first(settings, shared):
    audio = None if shared else tiny_swin(dim=32, depths=(1, 1), seed=5)
    net = two_stream(partial(LAVISH, **settings), audio)
    images = torch.randn(BT, 3, 32, 32)
    for features, encoder in zip(net.encode(images, images), (net.visual, net.audio), strict=True):
        assert torch.allclose(features.tokens, encoder.encoder.forward_features(images).flatten(1, 2), atol=1e-5)


def test_only_adapters_train_and_all_of_them_get_a_gradient():
    net = two_stream(LAVISH)
    randomize(net.tuner)
    images = torch.randn(BT, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    visual, audio = net.encode(images, images.flip(0))
    (visual.pooled.square().sum() + audio.pooled.square().sum()).backward()
    assert [name for name, p in net.tuner.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert all(p.grad is None for p in net.encoders.parameters())


def test_compat_is_the_released_avs_form():
    tuner = LAVISH(layout=layout(widths=((8, 8),)), reduction=2, compat=True)
    for point in (tuner.beside_attention["0"], tuner.beside_feedforward["0"]):
        assert point.audio.bottleneck.gate is None
        for adapter in (point.visual, point.audio):
            assert adapter.bottleneck.gate_first
            assert not adapter.bottleneck.applies_norm_before
            assert not adapter.attention.latents.any()
    gates = 2  # of the audio adapters
    assert count(tuner) == count(LAVISH(layout=tuner.layout, reduction=2)) - gates


def count(tuner: torch.nn.Module) -> int:
    return sum(p.numel() for p in tuner.parameters())


SWIN_LARGE = ((2304, 192),) * 2 + ((576, 384),) * 2 + ((144, 768),) * 18 + ((36, 1536),) * 2
VIT_LARGE = ((197, 1024, 49, 1024),) * 24


def sizes(blocks, **settings) -> int:
    """Parameters of LAVISH on (visual tokens, width, audio tokens, width) or, if they are equal, (tokens, width)."""
    pairs = tuple(PairLayout(b[1], b[-1], visual_tokens=b[0], audio_tokens=b[-2]) for b in blocks)
    where = Layout(frames=10, pairs=pairs, visual_width=blocks[-1][1], audio_width=blocks[-1][-1])
    with torch.device("meta"):
        return count(LAVISH(layout=where, **settings))


@pytest.mark.parametrize(
    ("blocks", "reduction", "groups", "latents", "batch_norm", "published"),
    [
        (SWIN_LARGE, 8, 2, 2, True, "8.447808"),
        (SWIN_LARGE, 4, 2, 16, False, "17.148"),
        (SWIN_LARGE, 4, 2, 32, False, "18.303"),
        (SWIN_LARGE, 8, 4, 64, False, "8.835"),
        (VIT_LARGE, 8, 2, 2, True, "13.394112"),
        (VIT_LARGE, 4, 2, 16, False, "27.132"),
    ],
)
def test_published_sizes(blocks, reduction, groups, latents, batch_norm, published):
    millions = sizes(blocks, reduction=reduction, groups=groups, latents=latents, batch_norm=batch_norm) / 1e6
    assert round(millions, len(published.split(".")[1])) == float(published)


def test_size_on_swin_and_htsat_is_our_own():
    """Ours maps widths in every adapter; how the 6.5 M in the papers' tables come about is not public."""
    audio = ((4096, 96),) * 2 + ((1024, 192),) * 2 + ((256, 384),) * 6 + ((64, 768),) * 2
    steps = pair_blocks([2, 2, 18, 2], [2, 2, 6, 2])
    blocks = [(*SWIN_LARGE[v], *audio[a]) for v, a in steps if a is not None]
    linears = sum(2 * (d_v * d_a + d_v + d_a * d_v + d_a) for _, d_v, _, d_a in blocks)
    assert linears == 17_278_848
    assert sizes(blocks, reduction=8, groups=2, latents=2, batch_norm=True) == 2_914_368 + linears
