"""Consistency constraint between the modalities (Eqs. 10-11)."""

from typing import Literal

from torch import Tensor, nn

from copl_core.contracts import Features, Layout, Loss


class Consistency(Loss):
    """``weight * ||Z_v - Z_a||^2`` between the mean token of each frame and that of its second of audio.

    Where the widths differ a trained linear layer maps the audio embedding to the visual width.

    Args:
        layout: Set by the framework.
        weight: lambda of Eq. 11.
        reduce: ``mean`` or ``sum`` of the squared differences over the width; always the mean over frames.
    """

    def __init__(self, *, layout: Layout, weight: float = 0.005, reduce: Literal["mean", "sum"] = "mean") -> None:
        super().__init__()
        self.weight = weight
        self.reduce = reduce
        same = layout.visual_width == layout.audio_width
        self.project: nn.Module = nn.Identity() if same else nn.Linear(layout.audio_width, layout.visual_width)

    def forward(self, visual: Features, audio: Features) -> Tensor:
        """Weighted loss of the mean tokens, (BT, d_v) and (BT, d_a), a scalar."""
        squared = (visual.tokens.mean(dim=1) - self.project(audio.tokens.mean(dim=1))) ** 2
        distance = squared.mean(dim=-1) if self.reduce == "mean" else squared.sum(dim=-1)
        return self.weight * distance.mean()
