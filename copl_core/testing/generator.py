"""The check of a generator of data sets."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from copl_core.api import DataError
from copl_core.contracts import Generator
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report, some
from copl_core.testing.subject import Candidate, Subject


def check_generator(component: Subject, /, *, videos: int = 8, **arguments: Any) -> None:
    """Check a generator against its contract, ``copl_core.contracts.Generator``; writes into temporary folders.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        videos: How many to write, the fewest that the generator accepts or more.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("generator", component, arguments)
    with Report(candidate.title) as report, tempfile.TemporaryDirectory() as folder:
        check_class(report, candidate, Generator)
        generator: Generator | None = report.build(candidate.build)
        if generator is None:
            return
        write = partial(generator.write, videos=videos, seed=0, workers=1)
        out = Path(folder) / "data"
        if report.check("write", _check_written, write, out):
            report.check("again", _check_again, write, out)
            report.check("seed", _check_seed, write, out, Path(folder) / "twin")
            report.check("foreign folder", _check_foreign, write, Path(folder) / "foreign")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _check_written(write: Any, out: Path) -> None:
    line = write(out)
    if not out.is_dir() or not _files(out):
        raise Failure("expected files in the folder, there are none; write them below out")
    if not isinstance(line, str) or not line.strip() or "\n" in line:
        raise Failure(f"expected one line for people, got {line!r}; say what is there now")


def _check_again(write: Any, out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    write(out)
    if before != {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}:
        raise Failure("expected a complete data set to be left alone, files have been written again; look first")


def _check_seed(write: Any, out: Path, twin: Path) -> None:
    write(twin)
    first, second = _files(out), _files(twin)
    odd = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    if odd:
        raise Failure(f"expected equal files from equal arguments, {some(odd)} differ; draw by the seed alone")


def _check_foreign(write: Any, foreign: Path) -> None:
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("all I have")
    try:
        write(foreign)
    except DataError:
        if _files(foreign) == {"thesis.txt": b"all I have"}:
            return
        raise Failure("expected a folder with something else to be left as it was, files in it have changed") from None
    raise Failure("expected DataError for a folder that holds something else, none came; refuse it")
