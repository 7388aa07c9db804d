"""Head: LAVISH's classifier of segments, with its loss."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from copl_ave.labels import check_labels
from copl_core.api import ConfigError
from copl_core.contracts import Batch, FeatureLayout, Features, Head, Names, Predictions

# Smallest logarithm of torch's BCELoss.
_FLOOR = -100.0


class AveClassifier(Head):
    """Two linear layers with nothing between them, on each second's frame and sound (LAVISH).

    Seconds don't see each other here. The published code concatenates picture and sound in this order for Swin and
    in the other for ViT, which comes to the same: the first layer is learned.

    Args:
        visual: Shapes of the visual features.
        audio: Shapes of the audio features.
        frames: T.
        names: ``classes``, the names by class number, which say how many there are.
        classes: Number of classes, background included, where no data set says it: 29 for AVE.
        width: Width between the layers.
        loss: ``softmax_bce``, which LAVISH trains with: binary cross-entropy of the softmax, averaged over segments and
            classes; or ``ce``, cross-entropy.
    """

    def __init__(
        self,
        *,
        visual: FeatureLayout,
        audio: FeatureLayout,
        frames: int,
        names: Names | None = None,
        classes: int = 29,
        width: int = 512,
        loss: Literal["softmax_bce", "ce"] = "softmax_bce",
    ) -> None:
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.named = "classes" in (names or {})
        if names and self.named:
            classes = len(names["classes"])
        if classes < 2:
            raise ConfigError(f"head.classes is {classes}: must be at least 2, one event and background")
        if width < 1:
            raise ConfigError(f"head.width is {width}: must be at least 1")
        self.classes = classes
        self.loss = loss
        self.hidden = nn.Linear(visual.width + audio.width, width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """Predict the class of each second: ``logits`` (B, T, classes)."""
        logits: Tensor = self.classifier(self.hidden(torch.cat([visual.pooled, audio.pooled], dim=-1)))
        return {"logits": logits.reshape(-1, self.frames, self.classes)}

    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """The loss chosen in the constructor.

        Args:
            predictions: ``logits`` (B, T, classes).
            batch: ``label`` (B, T) of class numbers.

        Raises:
            DataError: A label is of a class that the head does not predict.
        """
        labels = batch["label"].flatten()
        # To look at labels is to wait for the device.
        if not self.named:
            check_labels(labels, self.classes)
        # In float32 also under autocast: probabilities near 1 are told apart by their distance from it.
        logits = predictions["logits"].flatten(0, 1).float()
        if self.loss == "ce":
            return {"loss_event": functional.cross_entropy(logits, labels)}
        return {"loss_event": softmax_bce(logits, labels)}


def softmax_bce(logits: Tensor, labels: Tensor) -> Tensor:
    """``BCELoss(softmax(logits), one_hot(labels))``, without taking the logarithm of a rounded probability.

    Equal to torch's, its floor of -100 under logarithms included, but exact also where torch rounds a probability to
    0 or 1, which puts the value on that floor and lets the gradient vanish.

    Args:
        logits: (n, C) float32, C >= 2.
        labels: (n,) class numbers.

    Returns:
        Scalar, the mean over n * C terms.
    """
    classes = logits.shape[-1]
    log_p = logits.log_softmax(-1)
    # 1 - p of a class is the sum of p over the others.
    same = torch.eye(classes, dtype=torch.bool, device=logits.device)
    log_rest = log_p[:, None].masked_fill(same, -torch.inf).logsumexp(-1)
    chosen = functional.one_hot(labels, classes).bool()
    return -torch.where(chosen, log_p, log_rest).clamp(min=_FLOOR).mean()
