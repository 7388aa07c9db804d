"""What is in a data set and what is wrong with it, as training would find it: for ``copl data check``."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from copl_core.api import DataError
from copl_core.contracts import Contents, Count, Dataset, Factory
from copl_core.data.problems import Problem, ProblemsError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SplitSurvey:
    """One split.

    Attributes:
        split: Its name.
        usable: Samples that training can read.
        problems: What training refuses to start with; where the list itself can't be read, that alone.
        contents: What its list holds; None if it can't be read.
        source: What was found on disk, and where; empty if the data set doesn't tell.
    """

    split: str
    usable: int
    problems: Sequence[Problem]
    contents: Contents | None
    source: str = ""

    @property
    def duplicates(self) -> Mapping[str, int]:
        """Keys of entries that are there more than once, with the number of times."""
        rows = self.contents.rows if self.contents else ()
        return {key: count for key, count in Counter(row.key for row in rows).items() if count > 1}

    @property
    def videos(self) -> frozenset[str]:
        """Names of the videos in its list."""
        return frozenset(row.video for row in self.contents.rows) if self.contents else frozenset()


@dataclass(frozen=True)
class Leak:
    """Videos that are in two splits.

    Attributes:
        splits: Both.
        videos: Their names, sorted.
        published: How many there are in the published lists; None if nobody says.
    """

    splits: tuple[str, str]
    videos: Sequence[str]
    published: int | None


@dataclass(frozen=True)
class Survey:
    """A data set.

    Attributes:
        splits: Its splits.
        leaks: Videos in two of them.
        misfit: Why its splits can't be used together; None if they can.
    """

    splits: Sequence[SplitSurvey]
    leaks: Sequence[Leak]
    misfit: str | None = None

    @property
    def ready(self) -> bool:
        """Whether training would start."""
        return self.misfit is None and not any(split.problems for split in self.splits)

    @property
    def hopeless(self) -> Sequence[str]:
        """Splits of which nothing is left when what has problems is left out."""
        return [split.split for split in self.splits if not split.usable]

    @property
    def sources(self) -> Sequence[str]:
        """What was found on disk, each once."""
        return list(dict.fromkeys(split.source for split in self.splits if split.source))

    @property
    def whole(self) -> Mapping[str, Count]:
        """What is counted in the data set as a whole."""
        return next((split.contents.whole for split in self.splits if split.contents), {})

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "ready": self.ready,
            "sources": list(self.sources),
            "splits": {split.split: _split_to_json(split) for split in self.splits},
            "misfit": self.misfit,
            "whole": _counts_to_json(self.whole),
            "leaks": [
                {"splits": list(leak.splits), "videos": list(leak.videos), "published": leak.published}
                for leak in self.leaks
            ],
        }


def survey(make: Factory[Dataset], check: Callable[[Mapping[str, Dataset]], object] = lambda _: None) -> Survey:
    """Build a data set's splits just as training does, and take down what it says.

    Args:
        make: Builds the data set, with ``on_error`` set to ``skip``.
        check: Raises a ``DataError`` where splits can't be used together; see ``Task.check``.
    """
    datasets: dict[str, Dataset] = {}
    splits = [_survey_split(make, split, datasets) for split in SPLITS]
    misfit = None
    try:
        check(datasets)
    except DataError as error:
        misfit = str(error)
    pairs = ((one, other) for one, other in combinations(splits, 2) if one.contents and other.contents)
    return Survey(splits, [_leak(one, other) for one, other in pairs], misfit)


def _survey_split(make: Factory[Dataset], split: str, datasets: dict[str, Dataset]) -> SplitSurvey:
    """Build a split, put it to the others, and take down what it says."""
    try:
        dataset = make(split=split)
    except ProblemsError as error:
        return SplitSurvey(split, error.usable, error.problems, error.contents)
    except DataError as error:
        return SplitSurvey(split, 0, [Problem(split, str(error))], None)
    datasets[split] = dataset
    return SplitSurvey(split, len(dataset), dataset.skipped, dataset.contents, dataset.describe())


def _leak(one: SplitSurvey, other: SplitSurvey) -> Leak:
    published = one.contents.shared.get(other.split) if one.contents else None
    return Leak((one.split, other.split), sorted(one.videos & other.videos), published)


def _split_to_json(split: SplitSurvey) -> dict[str, Any]:
    return {
        "usable": split.usable,
        "counts": _counts_to_json(split.contents.counts if split.contents else {}),
        "duplicates": dict(split.duplicates),
        "problems": [vars(problem) for problem in split.problems],
    }


def _counts_to_json(counts: Mapping[str, Count]) -> dict[str, Any]:
    return {name: {"found": count.found, "published": count.published} for name, count in counts.items()}
