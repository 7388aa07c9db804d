"""Prompts of one modality as prompts of the other."""

from copl_core.contracts import Mapper
from torch import Tensor, nn


class TemplateName(Mapper):
    """``W_2 gelu(W_1 P)``.

    Args:
        source: Width of the incoming prompts, set by the framework.
        target: Width of the outgoing prompts, set by the framework.
        width: Width between the layers.
    """

    def __init__(self, *, source: int, target: int, width: int = 32) -> None:
        super().__init__()
        self.down = nn.Linear(source, width)
        self.up = nn.Linear(width, target)

    def forward(self, prompts: Tensor) -> Tensor:
        """(BT, P, source) -> (BT, P, target)."""
        return self.up(nn.functional.gelu(self.down(prompts)))
