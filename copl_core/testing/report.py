"""Points that failed, gathered into one error."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch

Part = TypeVar("Part")


class ConformanceError(AssertionError):
    """A component breaks the contract of its kind.

    Attributes:
        title: What was checked.
        problems: One line for each point that failed.
    """

    def __init__(self, title: str, problems: list[str]) -> None:
        self.title = title
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{title}: {count}", *problems]))


class Failure(Exception):  # noqa: N818  # it is no error of the program
    """A point failed; the message says what was expected, what came, and what to do."""


class Report:
    """Gathers what failed, as a context manager that raises it at its end.

    A point that failed in one setting is not told again for the next one.

    Args:
        title: What is checked, e.g. ``mapper GatedMapper``.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.problems: list[str] = []
        self._failed_in: dict[str, str] = {}
        self._setting = ""

    def fail(self, point: str, message: str) -> None:
        """Note that a point failed in the present setting."""
        if self._failed_in.setdefault(point, self._setting) != self._setting:
            return
        where = f" ({self._setting})" if self._setting else ""
        self.problems.append(f"{point}{where}: {' '.join(message.split())}")

    @contextmanager
    def setting(self, name: str) -> Iterator[None]:
        """Within it, failures are those in this setting, e.g. ``two encoders``."""
        self._setting = name
        try:
            yield
        finally:
            self._setting = ""

    def check(self, point: str, function: Callable[..., object], *arguments: Any) -> bool:
        """Call a check; what it raises is a failure of this point. True if it passed."""
        try:
            function(*arguments)
        except Failure as failure:
            self.fail(point, str(failure))
        except Exception as error:
            self.fail(point, f"raised {describe_error(error)}")
        else:
            return True
        return False

    def build(self, make: Callable[[], Part]) -> Part | None:
        """Build the component; what that raises is a failure of the point "building", and the result None."""
        built: list[Part] = []
        self.check("building", lambda: built.append(make()))
        return built[0] if built else None

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.problems:
            raise ConformanceError(self.title, self.problems)


def some(names: Iterable[str]) -> str:
    """Names joined by commas; the first few of many."""
    ordered = list(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more


def describe_error(error: Exception) -> str:
    """One line: type, message, and the innermost place outside torch that it came from."""
    text = " ".join(str(error).split())
    outside = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(str(_TORCH))
    ]
    place = f" ({Path(outside[-1].filename).name}:{outside[-1].lineno})" if outside else ""
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


_SHOWN = 4
_TORCH = Path(torch.__file__).parent
