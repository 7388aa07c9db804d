"""Problems of a data set, collected and told together."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from copl_core.api import DataError
from copl_core.contracts import Contents
from copl_core.data.order import natural

#: What a data set does with clips that have problems: tell all and stop, or leave them out.
OnError = Literal["refuse", "skip"]

#: Rows of the table; of what is beyond, the number is told.
ROWS = 20


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the data.

    Attributes:
        where: File, and line where there is one: ``Annotations.txt:17``.
        what: What is wrong there and what to do about it.
        samples: Number of samples that can't be used because of it.
    """

    where: str
    what: str
    samples: int = 1


class ProblemsError(DataError):
    """Several problems, told as a table.

    Attributes:
        problems: All of them, also those that the message only counts.
        usable: Samples that are not affected.
        contents: What the list holds in which they were found; None if it couldn't be read.
    """

    def __init__(
        self, message: str, problems: Sequence[Problem], *, usable: int = 0, contents: Contents | None = None
    ) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.usable = usable
        self.contents = contents


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Problems by file and line."""
    return sorted(problems, key=lambda problem: natural(problem.where))


def settle(
    problems: Sequence[Problem], what: str, *, left: int, on_error: OnError, contents: Contents | None = None
) -> None:
    """Do with the problems of a split what the person wants: stop, or tell how many samples go and how many stay.

    Args:
        problems: Those found; with none, nothing happens.
        what: What they are problems of, as in ``split 'train' of AVE``.
        left: Number of samples that have none.
        on_error: ``skip`` stops as well where nothing is left.
        contents: What the split's list holds.

    Raises:
        ProblemsError: All problems.
    """
    if not problems:
        return
    if on_error == "refuse" or not left:
        refuse(problems, what, usable=left, contents=contents)
    logging.getLogger("copl").warning(
        "%s: %s; samples skipped: %d, left: %d; the first problem: %s: %s",
        what,
        _count(problems),
        lost(problems),
        left,
        problems[0].where,
        problems[0].what,
    )


def lost(problems: Iterable[Problem]) -> int:
    """Number of samples that can't be used because of these problems."""
    return sum(problem.samples for problem in problems)


def refuse(problems: Sequence[Problem], what: str, *, usable: int = 0, contents: Contents | None = None) -> NoReturn:
    """Raise one error with a table of all problems.

    Args:
        problems: At least one.
        what: What they are problems of, as in ``split 'train' of AVE``.
        usable: See ``ProblemsError``.
        contents: See ``ProblemsError``.

    Raises:
        ProblemsError: The first ``ROWS`` problems, one a line, and the number of the rest.
    """
    if not problems:
        raise ValueError("refuse() needs at least one problem")
    shown = problems[:ROWS]
    width = max(len(problem.where) for problem in shown)
    lines = [f"{what}: {_count(problems)}:"]
    for problem in shown:
        lines.append(f"  {problem.where:{width}}  " + problem.what.replace("\n", "\n" + " " * (width + 4)))
    if len(problems) > ROWS:
        lines.append(f"  ... and {len(problems) - ROWS} more")
    raise ProblemsError("\n".join(lines), problems, usable=usable, contents=contents)


def _count(problems: Sequence[Problem]) -> str:
    return f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
