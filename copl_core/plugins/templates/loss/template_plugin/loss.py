"""A loss on the features of both modalities."""

from copl_core.contracts import Features, Layout, Loss
from torch import Tensor, nn


class TemplateName(Loss):
    """``weight * mean(1 - cos(v, W a))`` of a frame's pooled features v and those of its sound, a.

    Args:
        layout: Set by the framework.
        weight: Of this loss in the sum.
    """

    def __init__(self, *, layout: Layout, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.project = nn.Linear(layout.audio_width, layout.visual_width)

    def forward(self, visual: Features, audio: Features) -> Tensor:
        """Pooled (BT, d_v) and (BT, d_a) -> scalar."""
        cosine = nn.functional.cosine_similarity(visual.pooled, self.project(audio.pooled), dim=-1)
        return self.weight * (1 - cosine).mean()
