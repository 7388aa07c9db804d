"""Backbone: a frozen transformer, seen as a list of blocks."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from copl_core.contracts.inputs import InputSpec, Modality


@dataclass(frozen=True)
class Features:
    """What an encoder yields.

    Attributes:
        pooled: (BT, d) one embedding a frame: final norm, then the encoder's own pooling.
        tokens: (BT, N, d) tokens of the last block after the final norm.
        pyramid: Maps (BT, d_s, H_s, W_s), fine to coarse; the last one is ``tokens`` as a map. One entry for an
            encoder without stages.
    """

    pooled: Tensor
    tokens: Tensor
    pyramid: tuple[Tensor, ...]


@dataclass(frozen=True)
class FeatureLayout:
    """Shapes of ``Features``: ``width`` is d, ``pyramid`` holds (d_s, H_s, W_s) per map."""

    width: int
    pyramid: tuple[tuple[int, int, int], ...]


class Block(ABC):
    """One transformer block: two residual branches, norms inside, the residual added by the caller.

    A handle over the encoder's own modules; it holds no parameters itself.
    """

    width: int

    @abstractmethod
    def attention(self, tokens: Tensor, prompts: Tensor | None = None) -> Tensor:
        """Attention branch.

        Args:
            tokens: (BT, N, d).
            prompts: (BT, P, d), or (1, P, d) for the same prompts in every frame. They act as additional keys and
                values of the frozen attention: exactly what concatenating them to the tokens, running the block and
                dropping their rows does. In windowed attention each window of a frame sees all its prompts.

        Returns:
            (BT, N, d). Without prompts: the branch of the original encoder.
        """

    @abstractmethod
    def feedforward(self, tokens: Tensor) -> Tensor:
        """Feed-forward branch: (BT, N, d) -> (BT, N, d)."""

    def add_feedforward(self, tokens: Tensor) -> Tensor:
        """The tokens with their feed-forward branch added, which ends a block: (BT, N, d) -> (BT, N, d).

        A backbone overrides it where it can spare something that way: see ``step_memory``.
        """
        return tokens + self.feedforward(tokens)


class Backbone(nn.Module, ABC):
    """A pretrained transformer. Its blocks are walked by the model together with those of the other modality.

    A subclass sets ``input_spec``, ``blocks`` and ``stages`` in its constructor, which builds the architecture only;
    pretrained weights come with ``load_pretrained``. One encoder may serve both modalities, with inputs of different
    sizes; what depends on the size takes the modality.
    """

    kind: ClassVar[str] = "backbone"
    context: ClassVar[tuple[str, ...]] = ()

    #: Parameters of the model as published, with classifier and the like, which tables of the field count; None if the
    #: encoder is the whole of it.
    published_parameters: int | None = None

    input_spec: InputSpec
    blocks: Sequence[Block]
    stages: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of every block."""
        return tuple(block.width for block in self.blocks)

    @abstractmethod
    def tokens(self, modality: Modality) -> tuple[int, ...]:
        """N of every block, for the input of a modality."""

    @abstractmethod
    def layout(self, modality: Modality) -> FeatureLayout:
        """Shapes of the features, for the input of a modality."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Name the encoder and where its weights came from, in plain JSON types, without machine paths."""

    @abstractmethod
    def load_pretrained(self) -> None:
        """Load the weights named in the constructor.

        Raises:
            WeightsError: The weights are missing or don't fit.
        """

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Turn inputs (BT, ...) as described by ``input_spec`` into tokens (BT, N, d) of block 0."""

    def advance(self, index: int, tokens: Tensor) -> Tensor:
        """Prepare the output of block ``index`` for the next block (patch merging at a stage's end).

        Not called after the last block.
        """
        return tokens

    @abstractmethod
    def features(self, stage_tokens: Sequence[Tensor], modality: Modality) -> Features:
        """Turn the outputs of the last block of each stage (before ``advance``) into features."""

    def lower_precision(self, dtype: torch.dtype, keep: Collection[nn.Module] = ()) -> None:
        """Store the matrices in ``dtype``, for a frozen encoder under autocast: half the memory, no cast in each step.

        Args:
            dtype: Of the weights and biases of every linear layer from now on.
            keep: Layers that stay exact; a backbone that has such overrides this method and names them.
        """
        kept = set(keep)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module not in kept:
                module.to(dtype)

    def stage_ends(self) -> frozenset[int]:
        """Indices of the blocks that end a stage."""
        ends, index = set(), -1
        for depth in self.stages:
            index += depth
            ends.add(index)
        return frozenset(ends)
