"""A head: the network on top of both encoders, with its loss."""

import torch
from copl_core.contracts import Batch, FeatureLayout, Features, Head, Names, Predictions
from torch import Tensor, nn


class TemplateName(Head):
    """A class for each frame, from its pooled features and those of its sound.

    Args:
        visual: Shapes of the visual features, set by the framework.
        audio: Shapes of the audio features, set by the framework.
        frames: T, set by the framework.
        names: Those of the data set, set by the framework; ``classes`` says how many there are.
        classes: Number of classes C where no data set says it.
        width: Width of the hidden layer.
    """

    def __init__(
        self,
        *,
        visual: FeatureLayout,
        audio: FeatureLayout,
        frames: int,
        names: Names | None = None,
        classes: int = 29,
        width: int = 64,
    ) -> None:
        super().__init__(visual=visual, audio=audio, frames=frames, names=names)
        self.hidden = nn.Linear(visual.width + audio.width, width)
        self.classify = nn.Linear(width, len(self.names.get("classes", ())) or classes)

    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """Pooled (BT, d_v) and (BT, d_a) -> ``logits`` (B, T, C)."""
        hidden = nn.functional.gelu(self.hidden(torch.cat([visual.pooled, audio.pooled], dim=-1)))
        return {"logits": self.classify(hidden).unflatten(0, (-1, self.frames))}

    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """``logits`` (B, T, C) and ``label`` (B, T) of class numbers -> scalar cross-entropy."""
        logits = predictions["logits"].flatten(0, 1).float()
        return {"loss_class": nn.functional.cross_entropy(logits, batch["label"].flatten())}
