"""The head: a class for each clip."""

import torch
from copl_core.contracts import Batch, FeatureLayout, Features, Head, Names, Predictions
from torch import Tensor, nn


class TemplateNameClassifier(Head):
    """Two layers on the pooled features of all frames of a clip, in their order.

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
        classes: int = 2,
        width: int = 64,
    ) -> None:
        super().__init__(visual=visual, audio=audio, frames=frames, names=names)
        self.hidden = nn.Linear(frames * (visual.width + audio.width), width)
        self.classify = nn.Linear(width, len(self.names.get("classes", ())) or classes)

    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """Pooled (BT, d_v) and (BT, d_a) -> ``logits`` (B, C)."""
        pooled = torch.cat([visual.pooled, audio.pooled], dim=-1)
        clips = pooled.unflatten(0, (-1, self.frames)).flatten(1)
        return {"logits": self.classify(nn.functional.gelu(self.hidden(clips)))}

    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """``logits`` (B, C) and ``label`` (B,) -> scalar cross-entropy."""
        return {"loss_class": nn.functional.cross_entropy(predictions["logits"].float(), batch["label"])}
