"""A prompt bank."""

import torch
from copl_core.contracts import Bank
from torch import Tensor, nn


class TemplateName(Bank):
    """Each query draws the entries by cosine similarity: ``softmax(cos(Z, B) / temperature) B``.

    Args:
        width: d, set by the framework.
        size: q, number of entries.
        temperature: Of the softmax; the lower, the fewer entries a query draws from.
    """

    def __init__(self, *, width: int, size: int = 10, temperature: float = 0.1) -> None:
        if size < 1 or temperature <= 0:
            raise ValueError(f"size must be at least 1 and temperature above 0, got {size} and {temperature}")
        super().__init__()
        self.entries = nn.Parameter(0.02 * torch.randn(size, width))
        self.temperature = temperature

    def forward(self, queries: Tensor) -> Tensor:
        """(BT, L_I, d) -> (BT, L_I, d)."""
        cosine = nn.functional.normalize(queries, dim=-1) @ nn.functional.normalize(self.entries, dim=-1).T
        return (cosine / self.temperature).softmax(dim=-1) @ self.entries
