"""Prompts between the layers of both encoders."""

import torch
from copl_core.contracts import Layout, Prompt
from torch import Tensor, nn


class TemplateName(Prompt):
    """The same learned tokens for every frame, own ones for each paired block and modality.

    Args:
        layout: Set by the framework.
        length: P, tokens for each block and modality.
        std: Standard deviation of the initial tokens.
    """

    def __init__(self, *, layout: Layout, length: int = 4, std: float = 0.02) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        super().__init__(layout=layout)
        self.visual = nn.ParameterDict()
        self.audio = nn.ParameterDict()
        for index, width_v, width_a in layout.paired():
            self.visual[str(index)] = nn.Parameter(std * torch.randn(length, width_v))
            self.audio[str(index)] = nn.Parameter(std * torch.randn(length, width_a))

    def pairs(self) -> tuple[int, ...]:
        """Every paired block."""
        return tuple(index for index, _, _ in self.layout.paired())

    def forward(self, index: int, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (BT, N_v, d_v) and (BT, N_a, d_a) -> prompts (1, P, d_v) and (1, P, d_a)."""
        return self.visual[str(index)].unsqueeze(0), self.audio[str(index)].unsqueeze(0)
