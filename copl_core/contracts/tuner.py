"""Tuner: what trains. The model hands it one pair of blocks at a time and it walks them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from copl_core.contracts.backbone import Block, Features


@dataclass(frozen=True)
class PairLayout:
    """Widths d and token counts N of one pair of blocks; None on the side that has no block at this step."""

    visual_width: int | None
    audio_width: int | None
    visual_tokens: int | None = None
    audio_tokens: int | None = None


@dataclass(frozen=True)
class Layout:
    """Everything a tuner needs to know about the encoders.

    Attributes:
        frames: T.
        pairs: Every step of the walk, in order. Where the encoders differ in depth some steps have one block only.
        visual_width: d of the visual features.
        audio_width: d of the audio features.
        first_block: Steps before this one take no prompts.
    """

    frames: int
    pairs: tuple[PairLayout, ...]
    visual_width: int
    audio_width: int
    first_block: int = 0

    def paired(self) -> tuple[tuple[int, int, int], ...]:
        """(index, visual width, audio width) of every step with a block on both sides, from ``first_block`` on."""
        return tuple(
            (index, pair.visual_width, pair.audio_width)
            for index, pair in enumerate(self.pairs)
            if pair.visual_width is not None and pair.audio_width is not None and index >= self.first_block
        )


@dataclass(frozen=True)
class Pair:
    """The blocks of one step. ``shared``: both handles are the same block of one encoder."""

    index: int
    visual: Block | None
    audio: Block | None
    shared: bool = False


class Tuner(nn.Module):
    """Owns the trained parameters beside the encoders, and the walk through one pair of blocks.

    The base class is the plain walk of the frozen encoders and trains nothing.
    """

    kind: ClassVar[str] = "tuner"
    context: ClassVar[tuple[str, ...]] = ("layout",)

    #: True for a tuner that trains the encoders themselves.
    unfreezes: ClassVar[bool] = False

    def __init__(self, *, layout: Layout) -> None:
        super().__init__()
        self.layout = layout

    @property
    def first_block(self) -> int:
        """Index of the first pair that this tuner changes; what lies before runs without autograd."""
        return len(self.layout.pairs)

    def step(self, pair: Pair, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Walk one pair of blocks.

        Args:
            pair: The block handles.
            visual: (BT, N_v, d_v).
            audio: (BT, N_a, d_a).

        Returns:
            The tokens after the blocks, same shapes; untouched on a side without a block.
        """
        return self.walk(pair, visual, audio)

    @staticmethod
    def walk(
        pair: Pair,
        visual: Tensor,
        audio: Tensor,
        visual_prompts: Tensor | None = None,
        audio_prompts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Both branches of both blocks with their residuals, the attention with prompts where given.

        A shared encoder with equal shapes runs both modalities as one batch.

        Args:
            pair: The block handles.
            visual: (BT, N_v, d_v).
            audio: (BT, N_a, d_a).
            visual_prompts: (BT or 1, P_v, d_v) or None.
            audio_prompts: (BT or 1, P_a, d_a) or None.
        """
        if _joint(pair, visual, audio, visual_prompts, audio_prompts):
            prompts = _join_prompts(visual.shape[0], visual_prompts, audio_prompts)
            visual, audio = _run(pair.visual, torch.cat([visual, audio]), prompts).chunk(2)
            return visual, audio
        return _run(pair.visual, visual, visual_prompts), _run(pair.audio, audio, audio_prompts)

    @staticmethod
    def attention(
        pair: Pair,
        visual: Tensor,
        audio: Tensor,
        visual_prompts: Tensor | None = None,
        audio_prompts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The attention branches of both blocks, without residual, for tuners that add something beside them.

        Both blocks must be there. Arguments and batching as in ``walk``.
        """
        assert pair.visual is not None
        assert pair.audio is not None
        if _joint(pair, visual, audio, visual_prompts, audio_prompts):
            prompts = _join_prompts(visual.shape[0], visual_prompts, audio_prompts)
            visual, audio = pair.visual.attention(torch.cat([visual, audio]), prompts).chunk(2)
            return visual, audio
        return pair.visual.attention(visual, visual_prompts), pair.audio.attention(audio, audio_prompts)

    @staticmethod
    def feedforward(pair: Pair, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """The feed-forward branches of both blocks, without residual. Both blocks must be there."""
        assert pair.visual is not None
        assert pair.audio is not None
        if _joint(pair, visual, audio, None, None):
            visual, audio = pair.visual.feedforward(torch.cat([visual, audio])).chunk(2)
            return visual, audio
        return pair.visual.feedforward(visual), pair.audio.feedforward(audio)

    def read(self, pair: Pair, visual: Tensor, audio: Tensor, state: Any) -> Any:
        """Look at the tokens that leave a pair of blocks, for tuners that distil them beside the encoders.

        A tuner that only reads leaves ``first_block`` at the depth: the tokens come without a graph, and the encoders
        save nothing for the backward pass.

        Args:
            pair: The blocks just walked.
            visual: (BT, N_v, d_v).
            audio: (BT, N_a, d_a).
            state: What the previous call returned; None at the first pair.

        Returns:
            What the next call, and in the end ``adapt``, receives.
        """
        return state

    def adapt(self, visual: Features, audio: Features, state: Any) -> tuple[Features, Features]:
        """Change the features before the head sees them, given what ``read`` has gathered."""
        return visual, audio

    def auxiliary_losses(self, visual: Features, audio: Features) -> dict[str, Tensor]:
        """Named scalar losses to add to the task's, already weighted."""
        return {}

    def additional_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that count as "additional" in the field's tables: those attached to the encoders' blocks."""
        yield from self.named_parameters()


def _run(block: Block | None, tokens: Tensor, prompts: Tensor | None) -> Tensor:
    if block is None:
        return tokens
    return block.add_feedforward(tokens + block.attention(tokens, prompts))


def _joint(
    pair: Pair, visual: Tensor, audio: Tensor, visual_prompts: Tensor | None, audio_prompts: Tensor | None
) -> bool:
    """True if both modalities can run through the one block as one batch."""
    if not pair.shared or visual.shape != audio.shape:
        return False
    if visual_prompts is None or audio_prompts is None:
        return visual_prompts is audio_prompts
    return visual_prompts.shape[1] == audio_prompts.shape[1]


def _join_prompts(items: int, visual: Tensor | None, audio: Tensor | None) -> Tensor | None:
    if visual is None or audio is None:
        return None
    return torch.cat([visual.expand(items, -1, -1), audio.expand(items, -1, -1)])
