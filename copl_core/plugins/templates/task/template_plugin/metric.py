"""The metric: accuracy of clips."""

from collections.abc import Sequence
from typing import Any

from copl_core.contracts import Batch, Metric, Predictions


class TemplateNameAccuracy(Metric):
    """``accuracy``: share of the clips whose class is predicted, 0..1."""

    def measure(self, predictions: Predictions, batch: Batch) -> list[bool]:
        """``logits`` (B, C) and ``label`` (B,) -> for each clip whether it is right."""
        right = predictions["logits"].argmax(dim=-1).cpu() == batch["label"].cpu()
        return right.tolist()

    def summarize(self, results: Sequence[Any]) -> dict[str, float]:
        """The share of all clips."""
        return {"accuracy": sum(results) / len(results)}
