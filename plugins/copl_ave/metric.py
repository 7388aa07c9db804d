"""Metric: accuracy of segments."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from copl_ave.labels import check_labels, class_name
from copl_core.contracts import Batch, Breakdown, Metric, Names, Predictions, Sample


class SegmentAccuracy(Metric):
    """Shares of the segments that are labelled rightly, as fractions 0..1, over all segments of the data set.

    Segments are counted over the whole set, not by batch, so that a short last batch has no more weight than it should.

    - ``accuracy``: of all segments; the published figure.
    - ``accuracy_foreground``: of those with an event. Only the event itself is right.
    - ``accuracy_background``: of those without.

    A score over no segments is left out.

    Args:
        names: ``classes``, the names by class number.
    """

    def __init__(self, *, names: Names | None = None) -> None:
        self.names = names

    def measure(self, predictions: Predictions, batch: Batch) -> list[dict[str, Tensor]]:
        """Note each clip's classes.

        Args:
            predictions: ``logits`` (B, T, C), background last.
            batch: ``label`` (B, T) of class numbers.

        Returns:
            A clip: ``label`` and ``predicted`` (T,); ``background``, whether the label is that (T,).

        Raises:
            DataError: A label is of a class that the head does not predict.
        """
        logits = predictions["logits"].detach()
        labels = batch["label"].cpu()
        check_labels(labels, logits.shape[-1])
        background = labels == logits.shape[-1] - 1
        parts = zip(labels, logits.argmax(-1).cpu(), background, strict=True)
        # Copies: a row of a batch would carry the whole batch through pickling.
        return [
            {"label": label.clone(), "predicted": predicted.clone(), "background": ground.clone()}
            for label, predicted, ground in parts
        ]

    def summarize(self, results: Sequence[Any]) -> dict[str, float]:
        """Scores over all clips."""
        if not results:
            raise ValueError("no clip was measured")
        right = torch.cat([result["label"] == result["predicted"] for result in results])
        background = torch.cat([result["background"] for result in results])
        parts = {"accuracy": right, "accuracy_foreground": right[~background], "accuracy_background": right[background]}
        return {name: part.double().mean().item() for name, part in parts.items() if len(part)}

    def clip_score(self, result: Any) -> float:
        """Share of the clip's segments that are labelled rightly."""
        return (result["label"] == result["predicted"]).double().mean().item()

    def breakdown(self, results: Sequence[Any]) -> Breakdown:
        """Accuracy over the segments of each class; classes without segments are left out."""
        labels = torch.cat([result["label"] for result in results])
        right = labels == torch.cat([result["predicted"] for result in results])
        rows = {}
        for number in sorted(set(labels.tolist())):
            part = right[labels == number]
            rows[class_name(number, self.names)] = {"segments": len(part), "accuracy": part.double().mean().item()}
        return {"class": rows}

    def baselines(self, training: Sequence[Sample], tested: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """The most frequent class of the training segments, given for every segment."""
        frequent = int(torch.cat([sample["label"] for sample in training]).bincount().argmax())
        background = len((self.names or {}).get("classes", ())) - 1
        answers = [
            {
                "label": sample["label"],
                "predicted": torch.full_like(sample["label"], frequent),
                "background": sample["label"] == background,
            }
            for sample in tested
        ]
        return {f"always {class_name(frequent, self.names)}": self.summarize(answers)}
