"""Prompts and the parts they are made of."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from copl_core.contracts.tuner import Layout


class Prompt(nn.Module, ABC):
    """One family of prompt tokens for both modalities over all pairs of blocks."""

    kind: ClassVar[str] = "prompt"
    context: ClassVar[tuple[str, ...]] = ("layout",)

    def __init__(self, *, layout: Layout) -> None:
        super().__init__()
        self.layout = layout

    @abstractmethod
    def pairs(self) -> tuple[int, ...]:
        """Indices of the pairs at which this family adds prompts, ascending."""

    @abstractmethod
    def forward(self, index: int, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Prompts of pair ``index``, which is one of ``pairs()``.

        Args:
            index: The pair.
            visual: (BT, N_v, d_v) tokens entering the visual block.
            audio: (BT, N_a, d_a) tokens entering the audio block.

        Returns:
            Prompts (BT or 1, P_v, d_v) and (BT or 1, P_a, d_a).
        """


class Bank(nn.Module, ABC):
    """A learned set of prompts from which each frame's prompts are drawn.

    Built with ``width`` d and ``length`` L_I, the number of queries a frame asks with.
    """

    kind: ClassVar[str] = "bank"
    context: ClassVar[tuple[str, ...]] = ("width", "length")

    @abstractmethod
    def forward(self, queries: Tensor) -> Tensor:
        """Draw prompts: (BT, L_I, d) -> (BT, L_I, d)."""


class Mapper(nn.Module, ABC):
    """Maps prompts of one modality to the other. Built with widths ``source`` and ``target``."""

    kind: ClassVar[str] = "mapper"
    context: ClassVar[tuple[str, ...]] = ("source", "target")

    @abstractmethod
    def forward(self, prompts: Tensor) -> Tensor:
        """(BT, P, source) -> (BT, P, target)."""
