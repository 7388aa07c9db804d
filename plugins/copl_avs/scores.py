"""Scores of single frames, as AVSBench defines them (``utils/utility.py``). Shared by the metric and the renderer."""

import torch
from torch import Tensor

#: Thresholds of the F-score: linspace(0, 1 - 1e-10, 255) in float32, whose last value rounds to 1.
THRESHOLDS = 255
#: Weight of recall in the F-score.
BETA_SQUARED = 0.3


def frame_iou(logits: Tensor, mask: Tensor) -> Tensor:
    """Foreground IoU of each frame; for a frame without foreground, the share of pixels predicted empty.

    Args:
        logits: (n, S, S).
        mask: (n, S, S), 0 or 1.

    Returns:
        (n,) float64 in 0..1.
    """
    # The probability in float32 decides, so that a logit just above 0 counts as AVSBench counts it.
    predicted = (logits.float().sigmoid() > 0.5).flatten(1)
    truth = mask.flatten(1) > 0
    both = (predicted & truth).sum(1)
    either = (predicted | truth).sum(1)
    empty = ~truth.any(1)
    both = torch.where(empty, (~predicted).sum(1), both)
    either = torch.where(empty, truth.shape[1], either)
    return both.double() / (either + 1e-7)


def f_curve(logits: Tensor, mask: Tensor) -> Tensor:
    """F-score of each frame at each threshold.

    Args:
        logits: (n, S, S).
        mask: (n, S, S), 0 or 1, none of them empty.

    Returns:
        (n, THRESHOLDS) float64 in 0..1.
    """
    probability = logits.float().sigmoid().flatten(1)
    truth = mask.flatten(1) > 0
    thresholds = torch.linspace(0, 1 - 1e-10, THRESHOLDS)
    # A pixel with ``level`` thresholds at or below its probability is predicted at exactly those: counting the levels
    # gives all 255 predictions in one pass.
    level = torch.searchsorted(thresholds, probability, right=True)
    predicted = _at_least(level, torch.ones_like(probability))
    hits = _at_least(level, truth.float())
    precision = hits / (predicted + 1e-20)
    recall = hits / (truth.sum(1, keepdim=True).double() + 1e-20)
    score = (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    return score.nan_to_num(0.0)


def _at_least(level: Tensor, weight: Tensor) -> Tensor:
    """Sum of the weights of pixels with level above t, for each threshold t: (n, pixels) -> (n, THRESHOLDS)."""
    counts = torch.zeros(level.shape[0], THRESHOLDS + 1, dtype=torch.float64)
    counts.scatter_add_(1, level, weight.double())
    return counts.flip(1).cumsum(1).flip(1)[:, 1:]
