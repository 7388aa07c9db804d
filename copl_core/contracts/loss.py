"""Loss: a scalar on the features of both modalities, added to the task's own loss."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from copl_core.contracts.backbone import Features


class Loss(nn.Module, ABC):
    """An auxiliary loss; its weight is its own affair."""

    kind: ClassVar[str] = "loss"
    context: ClassVar[tuple[str, ...]] = ("layout",)

    @abstractmethod
    def forward(self, visual: Features, audio: Features) -> Tensor:
        """Return the weighted loss, a scalar."""
