"""What the questions of MUSIC-AVQA are, beside what its authors released."""

from collections import Counter
from collections.abc import Mapping, Sequence

from copl_avqa.questions import TYPES, Question, Vocabulary
from copl_core.contracts import Contents, Count, Row

_KINDS = tuple(f"{group} {name}" for group, names in TYPES.items() for name in names)
#: Questions of each type in the released files, in the order of ``TYPES``, by edition and split.
_RELEASED: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("json", "val"): (515, 299, 600, 614, 499, 462, 635, 557, 414),
    ("json", "test"): (1022, 601, 1199, 1228, 995, 927, 1274, 1115, 824),
    ("json_update", "val"): (511, 295, 600, 613, 495, 461, 633, 549, 411),
    ("json_update", "test"): (1017, 594, 1197, 1225, 988, 920, 1265, 1101, 822),
}
#: Questions of a split whose types nobody has published.
_TOTALS = {("json", "train"): 32087}
#: Videos by split, and those of two splits, the same in both editions: the splits divide questions, not videos.
_VIDEOS = {"val": 3815, "test": 6399}
_SHARED = {"val": {"test": 2296}, "test": {"val": 2296}}
_WORDS, _ANSWERS = 93, 42


def contents(questions: Sequence[Question], vocabulary: Vocabulary, edition: str, split: str) -> Contents:
    """Count the questions.

    Args:
        questions: Those of the split.
        vocabulary: Of the training questions.
        edition: See ``MusicAVQA``.
        split: See ``MusicAVQA``.
    """
    which = edition, split
    kinds = Counter(question.kind for question in questions)
    released = dict(zip(_KINDS, _RELEASED[which], strict=True)) if which in _RELEASED else {}
    total = sum(released.values()) if released else _TOTALS.get(which)
    videos = {question.video for question in questions}
    return Contents(
        rows=[Row(question.where, question.video, str(question.number)) for question in questions],
        counts={
            "questions": Count(len(questions), total),
            "videos": Count(len(videos), _VIDEOS.get(split)),
            **{f"questions {kind}": Count(kinds[kind], released.get(kind)) for kind in _KINDS},
        },
        whole={
            "words": Count(len(vocabulary.words), _WORDS),
            "answers": Count(len(vocabulary.answers), _ANSWERS),
        },
        shared=_SHARED.get(split, {}),
    )
