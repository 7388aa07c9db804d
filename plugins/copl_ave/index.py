"""The lists of AVE: where they lie, which clips a split has, and what happens in them second by second."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from copl_core.api import ConfigError, DataError
from copl_core.data import Problem, refuse

SPLITS = ("train", "val", "test")
#: Seconds of a clip.
SECONDS = 10
ANNOTATIONS = "Annotations.txt"
COLUMNS = ("Category", "VideoID", "Quality", "StartTime", "EndTime")
BACKGROUND = "background"
PAGE = "https://github.com/YapengTian/AVE-ECCV18"

# Where the folder that holds the lists may lie, seen from the folder a person names.
_BELOW = (".", "data", "AVE_Dataset", "AVE", "data/AVE")


@dataclass(frozen=True)
class Event:
    """A row of a list: what is seen and heard in a video, from ``start`` up to but not including ``end``, in seconds.

    An event of no length (``0&0``) makes a clip that is background throughout.
    """

    category: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        where: File and line of its row.
        event: What its row says.
        labels: Class of each of its ``SECONDS`` seconds.
    """

    where: str
    event: Event
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Index:
    """What the lists say of one split.

    Attributes:
        folder: Holds the lists.
        classes: Names by class number: the categories in the order in which they first appear in ``Annotations.txt``,
            then background.
        clips: Those whose rows are in order, in the order of the split's list.
        problems: The rows that are not.
        annotated: Events of ``Annotations.txt``, of all splits.
    """

    folder: Path
    classes: tuple[str, ...]
    clips: list[Clip]
    problems: list[Problem]
    annotated: list[Event]


@dataclass(frozen=True)
class _Row:
    where: str
    fields: tuple[str, ...]

    @property
    def category(self) -> str:
        return self.fields[0]

    @property
    def name(self) -> str:
        return self.fields[1]


def load_index(root: str | Path, split: str) -> Index:
    """Find the lists and read those of one split.

    Args:
        root: The folder that holds ``Annotations.txt`` and the lists of the splits, or one of its parents.
        split: One of ``SPLITS``.

    Raises:
        ConfigError: There is no such split.
        DataError: A list is missing, empty or no text, or a row of ``Annotations.txt`` has not five columns: the
            numbers of the classes depend on it, so it can't be left out.
    """
    if split not in SPLITS:
        raise ConfigError(f"data set ave: split is {split!r}: must be one of {', '.join(SPLITS)}")
    folder = _find(Path(root).expanduser(), split)
    annotated, malformed = _read(folder / ANNOTATIONS)
    if malformed:
        refuse(malformed, "the list of all clips of AVE")
    listed, problems = _read(folder / _list_of(split))

    categories = tuple(dict.fromkeys(row.category for row in annotated))
    numbers = {category: number for number, category in enumerate(categories)}
    names = {row.name for row in listed}
    known, wrong = _events((row for row in annotated if row.name in names), samples=0)  # each fails in its own list
    own, own_wrong = _events(listed)
    spans: dict[str, list[Event]] = {}
    for _, event in known:
        spans.setdefault(event.name, []).append(event)

    clips = []
    for where, event in own:
        if event.category not in numbers:
            problems.append(Problem(where, f"class {event.category!r} is not in {ANNOTATIONS}{_nearest(event, spans)}"))
        elif event not in spans.get(event.name, ()):
            problems.append(Problem(where, f"this row is not in {ANNOTATIONS}{_nearest(event, spans)}"))
        else:
            clips.append(Clip(where, event, second_labels(event, numbers[event.category], len(categories))))
    annotated_events = [event for _, event in _events(annotated)[0]]
    return Index(folder, (*categories, BACKGROUND), clips, [*wrong, *problems, *own_wrong], annotated_events)


def second_labels(event: Event, number: int, background: int) -> tuple[int, ...]:
    """Class of each second t: that of the event if start <= t < end, else background."""
    return tuple(number if event.start <= second < event.end else background for second in range(SECONDS))


def _list_of(split: str) -> str:
    return f"{split}Set.txt"


def _find(root: Path, split: str) -> Path:
    """The folder that holds the lists.

    Raises:
        DataError: Names every list that is missing.
    """
    wanted = {ANNOTATIONS: "list of all clips", _list_of(split): f"list of the {split} split"}
    places = [root / below for below in _BELOW]
    # The place with the most of the lists is the one to complain about; of equals the first.
    folder = max(places, key=lambda place: sum((place / name).exists() for name in wanted))
    missing = [name for name in wanted if not (folder / name).is_file()]
    if not missing:
        return folder
    found = "found it incomplete" if len(missing) < len(wanted) else "not there"
    if not root.is_dir():
        found = "no folder" if root.exists() else "no such folder"
    raise DataError(
        "\n".join(
            [
                f"data set AVE: looked in {root} ({found}); missing:",
                *(f"  {name:15} ({wanted[name]}): {_looked_for(folder / name)}" for name in missing),
                f"get AVE_Dataset.zip by the link on {PAGE}, unpack it,",
                f"and set task.dataset.root to the folder that holds {ANNOTATIONS}, or to a parent of it,",
                "or try the built-in demo first: make demo TASK=ave  (configs/demo/ave_swin_nano_shared.yaml)",
            ]
        )
    )


def _looked_for(path: Path) -> str:
    return f"{path} is a directory, not a file" if path.is_dir() else f"looked for {path}"


def _read(path: Path) -> tuple[list[_Row], list[Problem]]:
    """Rows of a list, with or without a header, and those that aren't rows.

    Raises:
        DataError: The file can't be read or holds no rows.
    """
    try:
        # Reading as text takes any newline; a byte order mark is no part of the first category.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    rows: list[_Row] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        where, fields = f"{path}:{number}", tuple(field.strip() for field in line.split("&"))
        # Published copies of Annotations.txt differ: some begin with a header.
        if number == 1 and fields[0] == COLUMNS[0]:
            continue
        if not line.strip():
            continue
        if len(fields) == len(COLUMNS):
            rows.append(_Row(where, fields))
        else:
            expected = f"expected {len(COLUMNS)} columns separated by '&' ({'&'.join(COLUMNS)})"
            problems.append(Problem(where, f"{expected}, found {len(fields)}"))
    if not rows and not problems:
        raise DataError(f"{path}:1: the file holds no rows; get it again from {PAGE}")
    return rows, problems


def _events(rows: Iterable[_Row], samples: int = 1) -> tuple[list[tuple[str, Event]], list[Problem]]:
    """Events of the rows with their places, and what is wrong with the other rows, which are so many samples each."""
    events: list[tuple[str, Event]] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            events.append((row.where, _event(row)))
        except ValueError as error:
            problems.append(Problem(row.where, str(error), samples))
    return events, problems


def _event(row: _Row) -> Event:
    """Read a row.

    Raises:
        ValueError: Says what is wrong with it.
    """
    category, name, _, *times = row.fields
    if not category:
        raise ValueError("the category is empty")
    # The name becomes part of a path: one with a separator would lead out of the data set.
    if not name or name in (".", "..") or any(sign in name for sign in "/\\\0"):
        raise ValueError(f"{name!r} is no name of a video")
    for what, value in zip(("start", "end"), times, strict=True):
        if not (value.isascii() and value.isdigit() and int(value) <= SECONDS):
            raise ValueError(f"{what} is {value!r}: must be a whole number of seconds from 0 to {SECONDS}")
    start, end = map(int, times)
    if end < start:
        raise ValueError(f"the event ends at {end}, before its start at {start}")
    return Event(category=category, name=name, start=start, end=end)


def _nearest(event: Event, spans: dict[str, list[Event]]) -> str:
    """What ``Annotations.txt`` says of the video instead."""
    others: Sequence[Event] = spans.get(event.name, ())
    if not others:
        return ""
    rows = " and ".join(f"{other.category}, {other.start} to {other.end}" for other in others)
    return f", which has {event.name}: {rows}"
