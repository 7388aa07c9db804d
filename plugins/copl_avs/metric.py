"""Metric: mIoU and F-score of AVSBench."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from copl_avs.masks import check_size
from copl_avs.scores import BETA_SQUARED, THRESHOLDS, f_curve, frame_iou
from copl_core.api import ConfigError
from copl_core.contracts import Batch, Breakdown, Metric, Predictions, Sample


class SegmentationMetric(Metric):
    """Scores as fractions 0..1, over the frames that have a mask.

    - ``mIoU``: foreground IoU, averaged over frames.
    - ``F``: F-score (beta^2 = 0.3) averaged over the frames with a non-empty mask, at the best threshold for the whole
      data set.
    - ``F_compat``: the published figure. AVSBench picks the best threshold in every batch of four clips and averages
      over batches, so it depends on the order of the clips and mostly lies a little above ``F``.

    Args:
        compat_batch: Clips in one batch of ``F_compat``; 4 in AVSBench's test loader. The batches of this run's own
            loader don't matter.
    """

    def __init__(self, *, compat_batch: int = 4) -> None:
        if compat_batch < 1:
            raise ConfigError(f"metric.compat_batch is {compat_batch}: must be at least 1")
        self.compat_batch = compat_batch

    def measure(self, predictions: Predictions, batch: Batch) -> list[dict[str, Any]]:
        """Measure each clip.

        Args:
            predictions: ``logits`` (B, T, 1, S, S).
            batch: ``mask`` (B, T, 1, S, S) and ``mask_valid`` (B, T); perhaps ``category``, a list of B.

        Returns:
            A clip: ``category``, empty if it has none; ``iou`` (n,) of its n frames with a mask; ``curve``
            (THRESHOLDS,), the sum of the F-scores of its ``nonempty`` frames.

        Raises:
            DataError: Masks and prediction differ in size.
        """
        check_size(predictions["logits"], batch["mask"])
        # On the CPU in any case: counting in float64 is not to be had on every accelerator.
        parts = (predictions["logits"].detach().cpu(), batch["mask"].cpu(), batch["mask_valid"].cpu())
        categories = batch.get("category", [""] * len(parts[0]))
        clips = zip(categories, *parts, strict=True)
        return [{"category": category, **_measure_clip(logits, mask, valid)} for category, logits, mask, valid in clips]

    def summarize(self, results: Sequence[Any]) -> dict[str, float]:
        """Scores over all clips, given in data set order."""
        if not results:
            raise ValueError("no clip was measured")
        batches = [results[i : i + self.compat_batch] for i in range(0, len(results), self.compat_batch)]
        return {
            "mIoU": float(torch.cat([result["iou"] for result in results]).mean()),
            "F": _best(results),
            "F_compat": sum(map(_best, batches)) / len(batches),
        }

    def baselines(self, training: Sequence[Sample], tested: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """Everything painted: the IoU and the precision of a frame are the share of it that is foreground."""
        share = torch.cat([sample["painted"] for sample in tested])
        precision = share[share > 0]
        f_score = (1 + BETA_SQUARED) * precision / (BETA_SQUARED * precision + 1)
        return {
            "everything painted": {
                "mIoU": float(share.mean()),
                "F": float(f_score.mean()) if len(f_score) else 0.0,
            }
        }

    def clip_score(self, result: Any) -> float | None:
        """Mean IoU of the clip's frames that have a mask."""
        return float(result["iou"].mean()) if len(result["iou"]) else None

    def breakdown(self, results: Sequence[Any]) -> Breakdown:
        """Mean IoU over the clips of each category; empty where clips have none (MS3)."""
        categories = sorted({result["category"] for result in results} - {""})
        parts = {name: [result["iou"] for result in results if result["category"] == name] for name in categories}
        rows = {name: {"clips": len(ious), "mIoU": float(torch.cat(ious).mean())} for name, ious in parts.items()}
        return {"category": rows} if rows else {}


def _measure_clip(logits: Tensor, mask: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """One clip: (T, 1, S, S), (T, 1, S, S) and (T,)."""
    logits, mask = logits[valid, 0], mask[valid, 0]
    nonempty = mask.flatten(1).any(1)
    return {
        "iou": frame_iou(logits, mask),
        "curve": f_curve(logits[nonempty], mask[nonempty]).sum(0),
        "nonempty": nonempty.sum(),
    }


def _best(results: Sequence[dict[str, Any]]) -> float:
    """Best threshold's F-score over the non-empty frames of these clips; 0 where there is none."""
    total = torch.zeros(THRESHOLDS, dtype=torch.float64)
    frames = 0
    for result in results:
        total += result["curve"]
        frames += int(result["nonempty"])
    return float(total.max()) / frames if frames else 0.0
