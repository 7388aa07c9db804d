"""Metric: accuracy of the answers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from copl_avqa.questions import TYPES
from copl_core.contracts import Batch, Breakdown, Metric, Names, Predictions, Sample

_KINDS = tuple(f"{group} {name}" for group, names in TYPES.items() for name in names)


class AnswerAccuracy(Metric):
    """Shares of right answers, 0..1.

    - ``accuracy``: over all questions, which the papers call "Avg".
    - ``audio``, ``visual``, ``audio_visual``: over all questions of a group.
    - ``audio_counting`` and eight more: over the questions of a type.

    A group or type without questions has no score.

    Args:
        names: ``answers`` by number; without them, answers go by number.
    """

    def __init__(self, *, names: Names | None = None) -> None:
        self.names = (names or {}).get("answers", ())

    def measure(self, predictions: Predictions, batch: Batch) -> list[list[dict[str, Any]]]:
        """Compare the likeliest answers with the true ones.

        Args:
            predictions: ``logits`` (B, answers), or (BK, answers) for K questions a sample.
            batch: ``answer`` (B,) or (B, K); and ``type``, a list of B types such as ``Audio Counting``, or of B lists
                of K.

        Returns:
            Of each sample its questions, one or K: ``type``; ``answer``, the true one; ``right``, whether it was given;
            its ``probability``.
        """
        logits, answers = predictions["logits"].detach(), batch["answer"].flatten()
        types = [[kind] if isinstance(kind, str) else kind for kind in batch["type"]]
        right = logits.argmax(dim=1) == answers
        probability = logits.float().softmax(dim=1).gather(1, answers[:, None])[:, 0]
        columns = (chain.from_iterable(types), answers.tolist(), right.tolist(), probability.tolist())
        rows = [
            dict(zip(("type", "answer", "right", "probability"), row, strict=True))
            for row in zip(*columns, strict=True)
        ]
        each = len(types[0])
        return [rows[start : start + each] for start in range(0, len(rows), each)]

    def summarize(self, results: Sequence[Any]) -> dict[str, float]:
        """Scores over all questions."""
        if not results:
            raise ValueError("no question was answered")
        return _scores(list(chain.from_iterable(results)))

    def clip_score(self, result: Any) -> float:
        """Probability of the true answer; of several questions the mean."""
        return sum(float(question["probability"]) for question in result) / len(result)

    def breakdown(self, results: Sequence[Any]) -> Breakdown:
        """Accuracy over the questions of each type, and over those of each true answer."""
        asked = list(chain.from_iterable(results))
        answers = sorted({question["answer"] for question in asked})
        return {
            "question type": _rows({kind: [q for q in asked if q["type"] == kind] for kind in _KINDS}),
            "true answer": _rows({self._name(n): [q for q in asked if q["answer"] == n] for n in answers}),
        }

    def baselines(self, training: Sequence[Sample], tested: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """The most frequent answer of the training questions: of all, and of those of the same template."""
        asked = [pair for sample in training for pair in zip(sample["templates"], sample["answers"], strict=True)]
        overall = Counter(answer for _, answer in asked).most_common(1)[0][0]
        counts: dict[str, Counter[int]] = {}
        for template, answer in asked:
            counts.setdefault(template, Counter())[answer] += 1
        frequent = {template: counter.most_common(1)[0][0] for template, counter in counts.items()}
        return {
            f"always {self._name(overall)!r}": self._score(tested, lambda _: overall),
            "most frequent of the template": self._score(tested, lambda template: frequent.get(template, overall)),
        }

    def _score(self, tested: Sequence[Sample], give: Callable[[str], int]) -> dict[str, float]:
        """Scores of giving an answer by the template alone."""
        return _scores(
            [
                {"type": kind, "right": give(template) == answer}
                for sample in tested
                for kind, template, answer in zip(sample["types"], sample["templates"], sample["answers"], strict=True)
            ]
        )

    def _name(self, answer: int) -> str:
        return self.names[answer] if answer < len(self.names) else f"answer {answer}"


def _scores(questions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Shares of right answers: of all, by group and by type."""
    by_type = {kind: [question["right"] for question in questions if question["type"] == kind] for kind in _KINDS}
    scores = {"accuracy": _share([question["right"] for question in questions])}
    for group, subtypes in TYPES.items():
        parts = {f"{group} {name}": by_type[f"{group} {name}"] for name in subtypes}
        pooled = {group: [right for part in parts.values() for right in part], **parts}
        scores |= {_key(name): _share(rights) for name, rights in pooled.items() if rights}
    return scores


def _rows(parts: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, int | float]]:
    """Number of questions and accuracy of each part that has any."""
    return {
        name: {"questions": len(part), "accuracy": _share([result["right"] for result in part])}
        for name, part in parts.items()
        if part
    }


def _share(rights: Sequence[bool]) -> float:
    return sum(rights) / len(rights)


def _key(name: str) -> str:
    """``Audio-Visual Counting`` as the name of a score."""
    return name.lower().replace("-", "_").replace(" ", "_")
