"""What the lists of a data set hold, beside what its authors published: what ``copl data check`` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Count:
    """A number of things.

    Attributes:
        found: In the lists.
        published: In the data set as its authors describe it; None if they don't say.
    """

    found: int
    published: int | None = None


@dataclass(frozen=True)
class Row:
    """One entry of a split's list.

    Attributes:
        where: File and line.
        video: Name of its video; a video in two splits is a leak.
        key: What entries have in common that are the same thing twice.
    """

    where: str
    video: str
    key: str


@dataclass(frozen=True)
class Contents:
    """The list of one split, with the entries whose media can't be used.

    Attributes:
        rows: Its entries, in order; those that can't be read as such are left out.
        counts: What is counted in this split, by a name in the plural (``"events"``).
        whole: What is counted in the whole data set, the same for every split.
        shared: Number of videos that the published list has in common with another split, by its name.
    """

    rows: Sequence[Row]
    counts: Mapping[str, Count]
    whole: Mapping[str, Count] = field(default_factory=dict)
    shared: Mapping[str, int] = field(default_factory=dict)
