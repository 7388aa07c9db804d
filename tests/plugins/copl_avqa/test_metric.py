import math
import random

import pytest
import torch

from copl_avqa.metric import AnswerAccuracy

TYPES = {
    "Audio Counting": "audio_counting",
    "Audio Comparative": "audio_comparative",
    "Visual Counting": "visual_counting",
    "Visual Location": "visual_location",
    "Audio-Visual Existential": "audio_visual_existential",
    "Audio-Visual Location": "audio_visual_location",
    "Audio-Visual Counting": "audio_visual_counting",
    "Audio-Visual Comparative": "audio_visual_comparative",
    "Audio-Visual Temporal": "audio_visual_temporal",
}


def score(rows: list[tuple[str, int, int]], size: int) -> dict[str, float]:
    """Scores of (type, answer, likeliest answer), measured in batches of a size."""
    metric, results = AnswerAccuracy(), []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        logits = torch.rand(len(part), 5)
        for row, (_, _, predicted) in enumerate(part):
            logits[row, predicted] = 2
        batch = {"answer": torch.tensor([answer for _, answer, _ in part]), "type": [kind for kind, _, _ in part]}
        results += metric.measure({"logits": logits}, batch)
    return metric.summarize(results)


@pytest.mark.parametrize("size", [1, 7])
def test_scores_are_shares_of_right_answers(size: int) -> None:
    draw = random.Random(0)
    rows = [(draw.choice(list(TYPES)), draw.randrange(3), draw.randrange(3)) for _ in range(200)]

    found = score(rows, size)

    def share(wanted) -> float:
        rights = [answer == predicted for kind, answer, predicted in rows if wanted(kind)]
        return rights.count(True) / len(rights)

    expected = {"accuracy": share(lambda kind: True)}
    for group, key in (("Audio", "audio"), ("Visual", "visual"), ("Audio-Visual", "audio_visual")):
        expected[key] = share(lambda kind, group=group: kind.split(" ")[0] == group)
    for name, key in TYPES.items():
        expected[key] = share(lambda kind, name=name: kind == name)
    assert found == pytest.approx(expected)
    assert len(found) == 13


def test_several_questions_of_a_video_are_scored_one_by_one() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, answers = torch.rand(12, 5, generator=draw), torch.randint(5, (12,), generator=draw)
    types = [list(TYPES)[index % 9] for index in range(12)]
    metric = AnswerAccuracy()

    together = metric.measure(
        {"logits": logits}, {"answer": answers.view(4, 3), "type": [types[start : start + 3] for start in (0, 3, 6, 9)]}
    )
    alone = metric.measure({"logits": logits}, {"answer": answers, "type": types})

    assert [len(result) for result in together] == [3] * 4
    assert [question for result in together for question in result] == [question for (question,) in alone]
    assert metric.summarize(together) == metric.summarize(alone)
    assert metric.breakdown(together) == metric.breakdown(alone)
    mean = sum(metric.clip_score(result) for result in alone[3:6]) / 3
    assert metric.clip_score(together[1]) == pytest.approx(mean)


def test_overall_counts_questions_not_groups() -> None:
    rows = [("Audio Counting", 1, 1)] * 9 + [("Visual Location", 1, 0)]

    found = score(rows, 10)

    # Types and groups without questions have no score.
    assert found == {
        "accuracy": 0.9,
        "audio": 1.0,
        "audio_counting": 1.0,
        "visual": 0.0,
        "visual_location": 0.0,
    }


def test_no_question_is_no_score() -> None:
    with pytest.raises(ValueError, match="no question"):
        AnswerAccuracy().summarize([])


def test_baselines_know_the_training_answers_only() -> None:
    kind, other = "Audio Counting", "Visual Location"
    training = [
        {"templates": ["how many", "how many", "where"], "answers": [2, 2, 0], "types": [kind, kind, other]},
        {"templates": ["where", "where"], "answers": [0, 1], "types": [other, other]},
        {"templates": ["how many"], "answers": [2], "types": [kind]},
    ]
    tested = [
        {"templates": ["how many"], "answers": [2], "types": [kind]},
        {"templates": ["where"], "answers": [0], "types": [other]},
        {"templates": ["never asked"], "answers": [2], "types": [other]},
        {"templates": ["where"], "answers": [1], "types": [other]},
    ]

    found = AnswerAccuracy(names={"answers": ("left", "right", "two")}).baselines(training, tested)

    assert list(found) == ["always 'two'", "most frequent of the template"]
    overall, by_template = found.values()
    assert (overall["accuracy"], overall["audio_counting"], overall["visual_location"]) == (2 / 4, 1, 1 / 3)
    assert (by_template["accuracy"], by_template["visual_location"]) == (3 / 4, 2 / 3)


def test_breakdown_and_clip_score() -> None:
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    batch = {"answer": torch.tensor([0, 1, 1]), "type": ["Audio Counting", "Visual Location", "Visual Location"]}
    metric = AnswerAccuracy(names={"answers": ("no", "yes")})

    results = metric.measure({"logits": logits}, batch)

    assert metric.breakdown(results) == {
        "question type": {
            "Audio Counting": {"questions": 1, "accuracy": 1.0},
            "Visual Location": {"questions": 2, "accuracy": 0.5},
        },
        "true answer": {"no": {"questions": 1, "accuracy": 1.0}, "yes": {"questions": 2, "accuracy": 0.5}},
    }
    sure = 1 / (1 + math.exp(-2))
    assert [metric.clip_score(result) for result in results] == pytest.approx([sure, 1 - sure, sure])
