"""Small stand-ins for what surrounds a component in a model: encoders, layouts, features, a head.

They keep the contracts and have random weights, so a prompt or a mapper can be checked without an encoder of the field.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from copl_core.contracts import (
    AudioSpec,
    Backbone,
    Batch,
    Block,
    FeatureLayout,
    Features,
    Head,
    ImageSpec,
    InputSpec,
    Layout,
    Modality,
    Names,
    Predictions,
    SpectrogramSpec,
    Tuner,
    WaveformSpec,
    hidden_layer,
)
from copl_core.model import TwoStream
from copl_core.testing.subject import call

#: T and B of stand-in batches. They differ, so that one isn't taken for the other.
FRAMES = 3
CLIPS = 2

_PATCH = 4
_HEADS = 2


class TinyBackbone(Backbone):
    """A plain transformer of random weights, one stage, for images and for spectrograms of the same size.

    Args:
        width: d.
        depth: Number of blocks.
        size: Height and width of the input, a multiple of 4; (size / 4)^2 tokens.
    """

    def __init__(self, *, width: int = 32, depth: int = 3, size: int = 16) -> None:
        super().__init__()
        self.input_spec = InputSpec(
            image=ImageSpec(height=size, width=size), audio=SpectrogramSpec(frames=size, mel_bins=size)
        )
        self.grid = size // _PATCH
        self.patches = nn.Conv2d(3, width, kernel_size=_PATCH, stride=_PATCH)
        layers = [_Layer(width) for _ in range(depth)]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        self.blocks = [TinyBlock(layer, width) for layer in layers]
        self.stages = (depth,)

    def tokens(self, modality: Modality) -> tuple[int, ...]:
        """The same for both modalities."""
        return (self.grid**2,) * self.depth

    def layout(self, modality: Modality) -> FeatureLayout:
        """One map."""
        width = self.widths[-1]
        return FeatureLayout(width=width, pyramid=((width, self.grid, self.grid),))

    def identity(self) -> dict[str, Any]:
        """A stand-in."""
        return {"architecture": "tiny", "width": self.widths[0], "depth": self.depth}

    def load_pretrained(self) -> None:
        """There are no weights to load."""

    def embed(self, x: Tensor) -> Tensor:
        """(BT, 3, H, W) -> (BT, N, d)."""
        patches: Tensor = self.patches(x)
        return patches.flatten(2).transpose(1, 2)

    def features(self, stage_tokens: Sequence[Tensor], modality: Modality) -> Features:
        """Normed tokens (BT, N, d), their mean (BT, d), and their map (BT, d, H, W)."""
        tokens: Tensor = self.norm(stage_tokens[-1])
        pyramid = (tokens.transpose(1, 2).reshape(-1, self.widths[-1], self.grid, self.grid),)
        return Features(pooled=tokens.mean(dim=1), tokens=tokens, pyramid=pyramid)


class _Layer(nn.Module):
    """Parameters of a block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)


class TinyBlock(Block):
    """A pre-norm block."""

    def __init__(self, layer: _Layer, width: int) -> None:
        self.layer = layer
        self.width = width

    def attention(self, tokens: Tensor, prompts: Tensor | None = None) -> Tensor:
        """(BT, N, d) and prompts (BT or 1, P, d) -> (BT, N, d)."""
        items, length, width = tokens.shape
        if prompts is not None:
            tokens = torch.cat([tokens, prompts.expand(items, -1, -1)], dim=1)
        qkv = self.layer.qkv(self.layer.norm1(tokens)).reshape(items, -1, 3, _HEADS, width // _HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        scores = query[:, :, :length] @ key.transpose(-2, -1) / math.sqrt(width // _HEADS)
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        out: Tensor = self.layer.proj(mixed)
        return out

    def feedforward(self, tokens: Tensor) -> Tensor:
        """(BT, N, d) -> (BT, N, d)."""
        out: Tensor = self.layer.down(hidden_layer(self._widen, self.layer.norm2(tokens)))
        return out

    def _widen(self, tokens: Tensor) -> Tensor:
        return nn.functional.gelu(self.layer.up(tokens))


class TinyHead(Head):
    """One score a frame from both pooled features."""

    def __init__(self, *, visual: FeatureLayout, audio: FeatureLayout, frames: int) -> None:
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.score = nn.Linear(visual.width + audio.width, 1)

    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """``score`` (B, T)."""
        score: Tensor = self.score(torch.cat([visual.pooled, audio.pooled], dim=1))
        return {"score": score.reshape(-1, self.frames)}

    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """Their mean square, a scalar."""
        return {"loss": predictions["score"].square().mean()}


#: The settings that every tuner and prompt has to work in.
ENCODERS = ("one shared encoder", "two encoders")


def tiny_encoders(setting: str) -> tuple[Backbone, Backbone | None]:
    """Visual and audio encoder of a setting, the latter None where one is shared; always of the same weights.

    Two encoders differ in width, in depth (so that some blocks have no partner) and in number of tokens.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if setting == "one shared encoder":
            return TinyBackbone(), None
        return TinyBackbone(), TinyBackbone(width=48, depth=2, size=12)


def tiny_model(
    tuner: Callable[..., Tuner] = Tuner,
    head: Callable[..., Head] = TinyHead,
    visual: Backbone | None = None,
    audio: Backbone | None = None,
    frames: int = FRAMES,
    names: Names | None = None,
) -> TwoStream:
    """A two-stream model of stand-ins and of what is given."""
    return TwoStream(
        visual=visual or TinyBackbone(), audio=audio, tuner=tuner, head=partial(call, head), frames=frames, names=names
    )


def tiny_layout(setting: str) -> Layout:
    """The layout of ``tiny_encoders``."""
    visual, audio = tiny_encoders(setting)
    return tiny_model(visual=visual, audio=audio).tuner.layout


#: Features of an encoder with four stages, and of one without stages whose tokens begin with a class token.
FOUR_MAPS = FeatureLayout(width=64, pyramid=((8, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)))
ONE_MAP = FeatureLayout(width=48, pyramid=((48, 4, 4),))


def tiny_features(layout: FeatureLayout, items: int, *, seed: int = 0) -> Features:
    """Random features of BT = ``items`` frames; those of fewer frames are the first of those of more."""

    def noise(*shape: int) -> Tensor:
        return torch.stack([random_tensor(*shape, seed=seed + 1000 * item) for item in range(items)])

    _, height, width = layout.pyramid[-1]
    prefix = 1 if len(layout.pyramid) == 1 else 0
    tokens = noise(prefix + height * width, layout.width)
    last = tokens[:, prefix:].transpose(1, 2).reshape(items, layout.width, height, width)
    maps = [noise(*shape) for shape in layout.pyramid[:-1]]
    return Features(pooled=tokens.mean(dim=1), tokens=tokens, pyramid=(*maps, last))


def tiny_input(spec: ImageSpec | AudioSpec, items: int, *, seed: int = 0) -> Tensor:
    """Random inputs (BT, ...) of an encoder; those of fewer frames are the first of those of more."""
    if isinstance(spec, ImageSpec):
        shape: tuple[int, ...] = (3, spec.height, spec.width)
    elif isinstance(spec, SpectrogramSpec):
        shape = (spec.channels, spec.frames, spec.mel_bins)
    else:
        assert isinstance(spec, WaveformSpec)
        shape = (spec.samples,)
    inputs = random_tensor(items, *shape, seed=seed)
    # Sound lies in -1..1.
    return inputs.clamp(-3, 3) / 3 if isinstance(spec, WaveformSpec) else inputs


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, from a generator of its own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
