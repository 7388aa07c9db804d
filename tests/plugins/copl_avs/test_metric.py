import warnings

import numpy as np
import pytest
import torch

from copl_avs.metric import SegmentationMetric
from copl_core.api import ConfigError, DataError

S = 24
THRESHOLDS = torch.linspace(0, 1 - 1e-10, 255).numpy()


def clips(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and masks (count, 5, 1, S, S); some masks are empty, some predictions right."""
    make = torch.Generator().manual_seed(seed)
    mask = (torch.rand(count, 5, 1, S, S, generator=make) > 0.8).float()
    mask[1, 2] = mask[3, 0] = 0
    quality = torch.rand(count, 5, 1, 1, 1, generator=make) * 3
    logits = (mask - 0.5) * quality + torch.randn(count, 5, 1, S, S, generator=make)
    logits[3, 0] = -9  # an empty frame, rightly predicted empty
    logits[0, 0], logits[2, 1] = 200.0, -200.0  # probabilities of exactly 1 and 0
    return logits, mask


def slow_iou(probability: np.ndarray, truth: np.ndarray) -> float:
    predicted = (probability > 0.5).astype(np.float64)
    inter, union = (predicted * truth).sum(), np.maximum(predicted, truth).sum()
    if truth.sum() == 0:
        inter, union = (predicted == 0).sum(), predicted.size
    return inter / (union + 1e-7)


def slow_curve(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    truth = truth.astype(np.float64)
    scores = []
    for threshold in THRESHOLDS:
        predicted = probability >= threshold
        hits = (predicted * truth).sum()
        precision, recall = hits / (predicted.sum() + 1e-20), hits / (truth.sum() + 1e-20)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = np.float64(1.3 * precision * recall) / np.float64(0.3 * precision + recall)
        scores.append(0.0 if np.isnan(score) else score)
    return np.array(scores)


def slow_f(logits: torch.Tensor, mask: torch.Tensor) -> float:
    """AVSBench's F-score of one batch."""
    frames = zip(logits.sigmoid().flatten(0, 2).numpy(), mask.flatten(0, 2).numpy(), strict=True)
    curves = [slow_curve(probability, truth) for probability, truth in frames if truth.sum()]
    return float(np.mean(curves, axis=0).max()) if curves else 0.0


def measure(metric: SegmentationMetric, logits, mask, valid=None, size: int = 2) -> list:
    valid = torch.ones(mask.shape[:2], dtype=torch.bool) if valid is None else valid
    return [
        result
        for i in range(0, len(mask), size)
        for result in metric.measure(
            {"logits": logits[i : i + size]}, {"mask": mask[i : i + size], "mask_valid": valid[i : i + size]}
        )
    ]


def test_scores_equal_the_slow_formula() -> None:
    logits, mask = clips(5)
    metric = SegmentationMetric()

    scores = metric.summarize(measure(metric, logits, mask))

    frames = zip(logits.sigmoid().flatten(0, 2).numpy(), mask.flatten(0, 2).numpy(), strict=True)
    assert list(scores) == ["mIoU", "F", "F_compat"]
    assert scores["mIoU"] == pytest.approx(np.mean([slow_iou(*frame) for frame in frames]), abs=1e-9)
    assert scores["F"] == pytest.approx(slow_f(logits, mask), abs=1e-9)
    expected = (slow_f(logits[:4], mask[:4]) + slow_f(logits[4:], mask[4:])) / 2
    assert scores["F_compat"] == pytest.approx(expected, abs=1e-9)


def test_only_the_compatible_score_depends_on_the_batch() -> None:
    logits, mask = clips(5)
    a, b = SegmentationMetric(compat_batch=1), SegmentationMetric(compat_batch=5)
    results = measure(a, logits, mask, size=3)

    ones, five = a.summarize(results), b.summarize(results)

    assert (ones["mIoU"], ones["F"]) == (five["mIoU"], five["F"])
    assert five["F_compat"] == pytest.approx(five["F"])
    assert ones["F_compat"] > five["F_compat"]


def test_batch_of_empty_masks_counts_as_zero() -> None:
    logits, mask = clips(5)
    mask[4] = 0
    metric = SegmentationMetric()

    scores = metric.summarize(measure(metric, logits, mask))

    assert scores["F_compat"] == pytest.approx(slow_f(logits[:4], mask[:4]) / 2, abs=1e-9)
    assert scores["F"] == pytest.approx(slow_f(logits[:4], mask[:4]), abs=1e-9)


def test_perfect_and_empty_predictions() -> None:
    mask = torch.zeros(1, 5, 1, S, S)
    mask[:, :4, :, :12] = 1
    metric = SegmentationMetric()

    perfect = metric.summarize(measure(metric, (mask - 0.5) * 50, mask))
    nothing = metric.summarize(measure(metric, torch.full_like(mask, -50), mask))

    assert perfect == pytest.approx({"mIoU": 1, "F": 1, "F_compat": 1})
    assert nothing["mIoU"] == pytest.approx(1 / 5)  # the empty frame is right


def test_frames_without_a_mask_do_not_count() -> None:
    logits, mask = clips(4)
    valid = torch.tensor([[True, False, False, False, False]]).expand(4, 5)
    metric = SegmentationMetric()

    scores = metric.summarize(measure(metric, logits, mask, valid))

    expected = [slow_iou(logits[i, 0, 0].sigmoid().numpy(), mask[i, 0, 0].numpy()) for i in range(4)]
    assert scores["mIoU"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert scores["F"] == pytest.approx(slow_f(logits[:, :1], mask[:, :1]), abs=1e-9)


def test_results_are_small_and_plain() -> None:
    logits, mask = clips(4)

    results = measure(SegmentationMetric(), logits.requires_grad_(), mask)

    assert len(results) == 4
    for result in results:
        assert result.pop("category") == ""
        assert not any(value.requires_grad or value.is_cuda for value in result.values())
        assert sum(value.untyped_storage().nbytes() for value in result.values()) < 4096


def test_breakdown_by_category_and_clip_score() -> None:
    logits, mask = (each[:3] for each in clips(4))
    metric = SegmentationMetric()
    batch = {"mask": mask, "mask_valid": torch.ones(mask.shape[:2], dtype=torch.bool), "category": ["a", "b", "a"]}

    results = metric.measure({"logits": logits}, batch)

    frames = [(logits[i, :, 0].sigmoid().numpy(), mask[i, :, 0].numpy()) for i in range(3)]
    ious = [np.mean([slow_iou(*pair) for pair in zip(*each, strict=True)]) for each in frames]
    assert [metric.clip_score(result) for result in results] == pytest.approx(ious, abs=1e-6)
    rows = metric.breakdown(results)["category"]
    assert rows["a"] == {"clips": 2, "mIoU": pytest.approx((ious[0] + ious[2]) / 2, abs=1e-6)}
    assert rows["b"]["clips"] == 1
    assert metric.breakdown(measure(metric, logits, mask)) == {}


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="compat_batch is 0"):
        SegmentationMetric(compat_batch=0)
    with pytest.raises(DataError, match=r"set task\.head\.output_size to 64"):
        measure(SegmentationMetric(), torch.zeros(1, 5, 1, S, S), torch.zeros(1, 5, 1, 48, 48))
    with pytest.raises(ValueError, match="no clip"):
        SegmentationMetric().summarize([])


def test_painting_everything_scores_what_its_masks_measure():
    _, mask = clips(4)
    metric = SegmentationMetric()
    tested = [{"painted": frames.flatten(1).double().mean(1)} for frames in mask]

    ((name, scores),) = metric.baselines([], tested).items()

    # Painted with a probability of 1, which every threshold counts.
    measured = metric.summarize(measure(metric, torch.full_like(mask, 200.0), mask))
    assert name == "everything painted"
    assert scores == {key: pytest.approx(measured[key], abs=1e-6) for key in ("mIoU", "F")}
    assert 0.1 < scores["mIoU"] < 0.3
