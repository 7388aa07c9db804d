"""DG-SCT as a tuner: the order of its steps, its start, its sizes."""

from functools import partial

import pytest
import torch

from copl_core.contracts import Block, Head, Layout, Pair, PairLayout
from copl_core.model import TwoStream, pair_blocks
from copl_dgsct.tuner import DGSCT
from helpers import randomize, tiny_swin

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


def two_stream(**settings) -> TwoStream:
    audio = tiny_swin(dim=32, depths=(1, 1), seed=5)
    tuner = partial(DGSCT, latents=2, **settings)
    return TwoStream(visual=tiny_swin(), audio=audio, tuner=tuner, head=NoHead, frames=2)


def layout_of(*pairs: tuple[tuple[int, int] | None, tuple[int, int] | None]) -> Layout:
    """Pairs of (tokens, width)."""
    nothing = (None, None)
    streams = [(*(visual or nothing), *(audio or nothing)) for visual, audio in pairs]
    return Layout(
        frames=10,
        pairs=tuple(PairLayout(d_v, d_a, visual_tokens=n_v, audio_tokens=n_a) for n_v, d_v, n_a, d_a in streams),
        visual_width=next(visual[1] for visual, _ in reversed(pairs) if visual),
        audio_width=next(audio[1] for _, audio in reversed(pairs) if audio),
    )


def tokens(n: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(BT, n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shared", [False, True])
def test_the_audio_block_runs_whole_before_its_first_adapter(shared):
    stream_v = (4, 8)
    stream_a = stream_v if shared else (9, 16)
    tuner = DGSCT(layout=layout_of((stream_v, stream_a)), reduction=2, latents=2, batch_norm=False)
    randomize(tuner, std=0.3)
    block_v = StubBlock(0.5)
    block_a = block_v if shared else StubBlock(-0.7)
    visual, audio = tokens(*stream_v, 1), tokens(*stream_a, 2)
    out_v, out_a = tuner.step(Pair(index=0, visual=block_v, audio=block_a, shared=shared), visual, audio)

    first, second = tuner.beside_attention["0"], tuner.beside_feedforward["0"]
    middle_v = visual + block_v.attention(visual) + first.visual(visual, audio)
    half = audio + block_a.attention(audio)
    middle_a = half + block_a.feedforward(half) + first.audio(audio, visual)
    assert torch.allclose(out_v, middle_v + block_v.feedforward(middle_v) + second.visual(middle_v, middle_a))
    assert torch.allclose(out_a, middle_a + second.audio(middle_a, middle_v))


def test_steps_with_one_block_are_walked_plainly():
    tuner = DGSCT(layout=layout_of(((4, 8), None), ((4, 8), (4, 8))), reduction=2, latents=2)
    assert tuner.first_block == 1
    assert list(tuner.beside_attention) == list(tuner.beside_feedforward) == ["1"]
    visual, audio, block = tokens(4, 8, 1), tokens(4, 8, 2), StubBlock(0.5)
    out_v, out_a = tuner.step(Pair(index=0, visual=block, audio=None), visual, audio)
    middle = visual + block.attention(visual)
    assert torch.equal(out_v, middle + block.feedforward(middle))
    assert out_a is audio


@pytest.mark.parametrize("settings", [{}, {"align": "bicubic", "batch_norm": False}])
def test_features_are_the_frozen_ones_at_first(settings):
    net, images = two_stream(**settings), torch.randn(BT, 3, 32, 32)
    for features, encoder in zip(net.encode(images, images), (net.visual, net.audio), strict=True):
        assert torch.allclose(features.tokens, encoder.encoder.forward_features(images).flatten(1, 2), atol=1e-5)


@pytest.mark.parametrize("align", ["tokens", "bicubic"])
def test_only_adapters_train_and_all_of_them_get_a_gradient(align):
    net = two_stream(align=align)
    randomize(net.tuner)
    images = torch.randn(BT, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    visual, audio = net.encode(images, images.flip(0))
    (visual.pooled.square().sum() + audio.pooled.square().sum()).backward()
    assert [name for name, p in net.tuner.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert all(p.grad is None for p in net.encoders.parameters())


def test_compat_is_the_released_avs_form():
    tuner = DGSCT(layout=layout_of(((4, 8), (9, 16))), reduction=2, latents=2, align="bicubic", compat=True)
    for point in (tuner.beside_attention["0"], tuner.beside_feedforward["0"]):
        assert point.visual.unused["mix"].weight.shape == (4, 9, 1)
        assert point.audio.bottleneck.gate is None
        for adapter in (point.visual, point.audio):
            assert adapter.bottleneck.gate_first
            assert not adapter.bottleneck.applies_norm_before
            assert not adapter.attention.latents.any()


SWIN = ((2304, 192),) * 2 + ((576, 384),) * 2 + ((144, 768),) * 18 + ((36, 1536),) * 2
HTSAT = ((4096, 96),) * 2 + ((1024, 192),) * 2 + ((256, 384),) * 6 + ((64, 768),) * 2
STEPS = pair_blocks([2, 2, 18, 2], [2, 2, 6, 2])


def full_size(**settings) -> DGSCT:
    pairs = [(SWIN[v], None if a is None else HTSAT[a]) for v, a in STEPS]
    with torch.device("meta"):
        return DGSCT(layout=layout_of(*pairs), **settings)


def count(tuner: torch.nn.Module, name: str = "") -> int:
    return sum(p.numel() for key, p in tuner.named_parameters() if name in key)


def test_twelve_points_and_their_token_mixtures():
    tuner = full_size()
    assert list(tuner.beside_attention) == [str(i) for i in (0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 22, 23)]
    assert count(tuner, ".mix.") == 81_156_432


def test_size_for_ave():
    """The original has one more number in each of the 48 adapters (``gate_tk``), which it never uses."""
    assert count(full_size(reduction=8, groups=2, latents=32, batch_norm=True)) == 188_538_864 - 48


def test_size_for_avs_s4():
    settings = {"reduction": 8, "groups": 2, "latents": 32, "batch_norm": False, "align": "bicubic"}
    assert count(full_size(**settings, compat=True)) == 188_505_720
    # Without compat: no unused layers, but 24 gates of the audio adapters.
    unused = 81_156_432 + sum(2 * (SWIN[v][1] + 1 + HTSAT[a][1] + 1) for v, a in STEPS if a is not None)
    assert count(full_size(**settings)) == 188_505_720 - unused + 24


def test_size_for_avqa():
    settings = {"reduction": 8, "groups": 4, "latents": 2, "batch_norm": False}
    assert count(full_size(**settings, audio_gate=False)) == 186_336_456
    assert count(full_size(**settings)) == 186_336_456 + 24


def test_size_published_for_ave():
    assert round(count(full_size(reduction=8, groups=4, latents=32, batch_norm=False)) / 1e6, 2) == 187.13
