"""The questions of MUSIC-AVQA: reading the json files, filling the templates, the vocabulary of the training set."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError, DataError
from copl_core.data import Problem

SPLITS = ("train", "val", "test")
EDITIONS = ("json_update", "json")
PAGE = "https://github.com/GeWu-Lab/MUSIC-AVQA"
PAD = "<pad>"

#: Sub-types by group, as published. A record names them as ``["Audio-Visual", "Counting"]``.
TYPES: Mapping[str, tuple[str, ...]] = {
    "Audio": ("Counting", "Comparative"),
    "Visual": ("Counting", "Location"),
    "Audio-Visual": ("Existential", "Location", "Counting", "Comparative", "Temporal"),
}

_FIELDS = ("video_id", "question_id", "type", "question_content", "templ_values", "anser")
#: The question mark, also the full-width one that 430 test questions end with.
_MARKS = ("?", "？")  # noqa: RUF001  # the confusable one is meant


@dataclass(frozen=True)
class Question:
    """One question about a video.

    Attributes:
        video: Name of the video.
        number: Its ``question_id``; not unique in the edition ``json``.
        kind: Its type, such as ``Audio-Visual Counting``.
        template: The question before its slots are filled, without the question mark.
        words: The question with its template filled, without the question mark.
        answer: The true answer.
        where: File and index of the record, counted from 0.
    """

    video: str
    number: int
    kind: str
    template: str
    words: tuple[str, ...]
    answer: str
    where: str

    @property
    def text(self) -> str:
        """The question as a sentence."""
        return " ".join(self.words) + "?"


@dataclass(frozen=True)
class Vocabulary:
    """Words and answers of the training questions, in order of first appearance; word 0 is ``<pad>``."""

    words: tuple[str, ...]
    answers: tuple[str, ...]

    @classmethod
    def of(cls, questions: Iterable[Question]) -> "Vocabulary":
        """Collect it."""
        words: dict[str, None] = {PAD: None}
        answers: dict[str, None] = {}
        for question in questions:
            words |= dict.fromkeys(question.words)
            answers[question.answer] = None
        return cls(tuple(words), tuple(answers))


def questions_file(root: str | Path, edition: str, split: str) -> Path:
    """Find the json file of a split: in ``root/<edition>``, ``root/data/<edition>`` or ``root`` itself.

    Raises:
        ConfigError: There is no such split.
        DataError: The file is in none of these places.
    """
    if split not in SPLITS:
        raise ConfigError(f"data set avqa: split is {split!r}: must be one of {', '.join(SPLITS)}")
    root = Path(root).expanduser()
    places = _places(root, edition, split)
    for path in places:
        if path.is_file():
            return path
    if directory := next((path for path in places if path.is_dir()), None):
        raise DataError(f"{directory} is a directory, not a file; download it again from {PAGE}")
    other = next(each for each in EDITIONS if each != edition)
    # The root itself may hold either edition, so only its folders tell them apart.
    if any(path.is_file() for path in _places(root, other, split)[:2]):
        raise DataError(
            f"data set MUSIC-AVQA: {root} holds the questions of edition {other} only; "
            f"set task.dataset.edition to {other}, or get {edition} from {PAGE} (folder data)"
        )
    looked = "\n".join(f"  {path}" for path in places)
    raise DataError(
        f"data set MUSIC-AVQA: no questions of split {split!r}; looked for\n{looked}\n"
        f"get the folder data/{edition} from {PAGE} and set task.dataset.root to the folder that holds it"
    )


def read_questions(path: Path) -> tuple[list[Question], list[Problem]]:
    """Read a json file.

    Returns:
        The questions that can be used, in order, and a problem for each record that can't.

    Raises:
        DataError: The file as a whole can't be used.
    """
    again = f"download it again from {PAGE}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start}); {again}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; {again}")
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}; {again}") from error
    except RecursionError as error:
        raise DataError(f"{path}: not a list of questions: nested too deeply; {again}") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise DataError(f"{path}: not a list of questions: {error}; {again}") from error
    if not isinstance(records, list):
        raise DataError(f"{path}: expected a list of questions, got {_show(records)}; {again}")
    if not records:
        raise DataError(f"{path}: the list of questions is empty; {again}")
    questions, problems = [], []
    for index, record in enumerate(records):
        where = f"{path}[{index}]"
        try:
            questions.append(_question(record, where))
        except ValueError as error:
            problems.append(Problem(where, str(error)))
    return questions, problems


def fill(content: str, values: Sequence[str]) -> tuple[str, ...]:
    """Split a question into words and fill the slots of its template, such as ``<Object>``, from left to right.

    The question mark goes, case stays, and a value stays one word.

    Raises:
        ValueError: There are more values than slots, or fewer; or there is no word.
    """
    words = split_words(content)
    if not words:
        raise ValueError(f"question_content {content.strip()!r} holds no word; correct it or remove the record")
    slots = [index for index, word in enumerate(words) if "<" in word]
    if len(slots) != len(values):
        raise ValueError(
            f"templ_values holds {len(values)} values {list(values)}, but {content!r} has {len(slots)} slots; "
            "correct it or remove the record"
        )
    for slot, value in zip(slots, values, strict=True):
        words[slot] = value
    return tuple(words)


def split_words(content: str) -> list[str]:
    """Words of a question without its question mark."""
    content = content.strip()
    return content.removesuffix(next((mark for mark in _MARKS if content.endswith(mark)), "")).split()


def match_words(content: str, known: Sequence[str]) -> tuple[str, ...]:
    """Split a question that a person wrote into words of a vocabulary, whatever their case.

    A word of the vocabulary may be several of the person's, as a template's value is. What has no match stays as it is.
    """
    words, folded = split_words(content), {word.lower(): word for word in reversed(known)}
    if words and (capital := words[0][:1].upper() + words[0][1:]) in known:  # questions begin so
        words[0] = capital
    longest = max((len(word.split()) for word in known), default=1)
    found: list[str] = []
    while words:
        for length in range(min(longest, len(words)), 0, -1):
            phrase = " ".join(words[:length])
            if length == 1 or phrase.lower() in folded:
                found.append(phrase if phrase in known else folded.get(phrase.lower(), phrase))
                del words[:length]
                break
    return tuple(found)


def _places(root: Path, edition: str, split: str) -> list[Path]:
    name = f"avqa-{split}.json"
    return [root / edition / name, root / "data" / edition / name, root / name]


def _question(record: Any, where: str) -> Question:
    """Read a record; a ``ValueError`` says what is wrong with it."""
    if not isinstance(record, dict):
        raise ValueError(f"expected a record of fields, got {_show(record)}; remove or correct it")
    missing = [field for field in _FIELDS if field not in record]
    if missing:
        # The files spell "anser" so, and every published loader reads it so.
        raise ValueError(f"no field {', '.join(missing)}; add it or remove the record")
    video, content, answer = (_string(record, field) for field in ("video_id", "question_content", "anser"))
    # It becomes part of a path: one with a separator would lead out of the data set.
    if video in (".", "..") or any(sign in video for sign in "/\\\0"):
        raise ValueError(f"video_id {video!r} is no name of a video; correct it or remove the record")
    number = record["question_id"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"question_id is {_show(number)}: expected a whole number")
    return Question(
        video=video,
        number=number,
        kind=_kind(_strings(record, "type")),
        template=" ".join(split_words(content)),
        words=fill(content, _strings(record, "templ_values")),
        answer=answer,
        where=where,
    )


def _kind(names: Sequence[str]) -> str:
    if len(names) != 2 or names[1] not in TYPES.get(names[0], ()):
        known = ", ".join(f"{group} {name}" for group, subtypes in TYPES.items() for name in subtypes)
        raise ValueError(f"type is {list(names)}: must be one of {known}")
    return " ".join(names)


def _string(record: Mapping[str, Any], field: str) -> str:
    value = record[field]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field} is {_show(value)}: expected a text; correct it or remove the record")
    return value.strip()


def _strings(record: Mapping[str, Any], field: str) -> list[str]:
    """A list of texts; the files hold it as a string of JSON."""
    value = record[field]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f'{field} is {_show(value)}: expected a JSON list such as ["piano"]') from None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f'{field} is {_show(value)}: expected a list of texts such as ["piano"]')
    return value


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
