"""Mappers: how prompts of one modality become prompts of the other."""

from torch import Tensor, nn

from copl_core.contracts import Mapper


class Bottleneck(Mapper):
    """F = Linear(ReLU(Linear(.))), the paper's mapper (Eq. 8).

    Args:
        source: Width of the incoming prompts, set by the framework.
        target: Width of the outgoing prompts, set by the framework.
        width: r, the hidden width. The paper does not state it; docs/fidelity.md lists the values that reproduce its
            published parameter counts.
    """

    def __init__(self, *, source: int, target: int, width: int) -> None:
        super().__init__()
        self.down = nn.Linear(source, width)
        self.up = nn.Linear(width, target)

    def forward(self, prompts: Tensor) -> Tensor:
        """(BT, P, source) -> (BT, P, target)."""
        out: Tensor = self.up(self.down(prompts).relu())
        return out


class LinearMap(Mapper):
    """One linear layer: no bottleneck, no rectifier.

    Args:
        source: Width of the incoming prompts, set by the framework.
        target: Width of the outgoing prompts, set by the framework.
    """

    def __init__(self, *, source: int, target: int) -> None:
        super().__init__()
        self.map = nn.Linear(source, target)

    def forward(self, prompts: Tensor) -> Tensor:
        """(BT, P, source) -> (BT, P, target)."""
        out: Tensor = self.map(prompts)
        return out
