import pickle

import pytest
import torch

from copl_ave.metric import SegmentAccuracy
from copl_core.api import DataError

NAMES = ("a", "b", "c", "background")


def clips(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    return torch.randn(count, 10, 4, generator=make), torch.randint(4, (count, 10), generator=make)


def measure(logits: torch.Tensor, labels: torch.Tensor, size: int = 2) -> list:
    metric = SegmentAccuracy()
    return [
        result
        for i in range(0, len(labels), size)
        for result in metric.measure({"logits": logits[i : i + size]}, {"label": labels[i : i + size]})
    ]


def slow(logits: torch.Tensor, labels: torch.Tensor, counted) -> float | None:
    """Share of right segments among those whose label is counted."""
    right = total = 0
    for clip, truth in zip(logits.tolist(), labels.tolist(), strict=True):
        for scores, label in zip(clip, truth, strict=True):
            if counted(label):
                total += 1
                right += scores.index(max(scores)) == label
    return right / total if total else None


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_scores_count_segments_whatever_the_batches(size: int) -> None:
    logits, labels = clips(7)

    scores = SegmentAccuracy().summarize(measure(logits, labels, size))

    assert scores == pytest.approx(
        {
            "accuracy": slow(logits, labels, lambda _: True),
            "accuracy_foreground": slow(logits, labels, lambda label: label != 3),
            "accuracy_background": slow(logits, labels, lambda label: label == 3),
        }
    )


def test_short_last_batch_has_no_more_weight() -> None:
    labels = torch.zeros(5, 10, dtype=torch.int64)
    logits = torch.nn.functional.one_hot(labels, 4).float()
    logits[4] = logits[4].flip(-1)  # the last clip all wrong

    assert SegmentAccuracy().summarize(measure(logits, labels, 4))["accuracy"] == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("label", "expected"),
    [(3, {"accuracy": 1.0, "accuracy_background": 1.0}), (1, {"accuracy": 1.0, "accuracy_foreground": 1.0})],
)
def test_score_over_no_segments_is_left_out(label: int, expected: dict) -> None:
    labels = torch.full((1, 10), label)

    assert SegmentAccuracy().summarize(measure(torch.nn.functional.one_hot(labels, 4).float(), labels)) == expected


def test_breakdown_by_class() -> None:
    logits, labels = clips(6)
    labels[labels == 1] = 0

    rows = SegmentAccuracy(names={"classes": NAMES}).breakdown(measure(logits, labels))["class"]

    for number, name in enumerate(NAMES):
        if number == 1:
            assert name not in rows
        else:
            expected = slow(logits, labels, lambda label, n=number: label == n)
            count = labels.flatten().tolist().count(number)
            assert rows[name] == {"segments": count, "accuracy": pytest.approx(expected)}
    assert list(SegmentAccuracy().breakdown(measure(logits, labels))["class"]) == ["class 0", "class 2", "class 3"]


def test_clip_score_is_the_share_of_right_segments() -> None:
    logits, labels = clips(3)

    found = [SegmentAccuracy().clip_score(result) for result in measure(logits, labels)]

    assert found == pytest.approx([slow(logits[i : i + 1], labels[i : i + 1], lambda _: True) for i in range(3)])


def test_baseline_always_gives_the_most_frequent_training_class() -> None:
    training = [{"label": torch.tensor([1] * 6 + [3] * 4)}, {"label": torch.tensor([3] * 5 + [1] * 5)}]
    tested = [{"label": torch.tensor([1] * 3 + [0] * 2 + [3] * 5)}]

    found = SegmentAccuracy(names={"classes": NAMES}).baselines(training, tested)

    expected = {"accuracy": 0.3, "accuracy_foreground": 3 / 5, "accuracy_background": 0.0}
    assert found == {"always b": pytest.approx(expected)}


def test_results_are_small_and_plain() -> None:
    logits, labels = clips(32)

    results = measure(logits.requires_grad_(), labels, 32)

    assert len(results) == 32
    for result in results:
        assert not any(value.requires_grad or value.is_cuda for value in result.values())
        assert sum(value.untyped_storage().nbytes() for value in result.values()) == 10 * (8 + 8 + 1)
    pickle.dumps(results)


def test_mistakes_are_told() -> None:
    with pytest.raises(DataError, match=r"set task\.head\.classes to at least 6"):
        SegmentAccuracy().measure({"logits": torch.zeros(1, 10, 4)}, {"label": torch.full((1, 10), 5)})
    with pytest.raises(ValueError, match="no clip"):
        SegmentAccuracy().summarize([])
