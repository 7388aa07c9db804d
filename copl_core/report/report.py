"""One run as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch

import copl_core
from copl_core.api import ConfigError, CoplError
from copl_core.checkpoint import HEAD_FILE, PROMPTS_FILE
from copl_core.config import dump_config
from copl_core.contracts import Task
from copl_core.registry import Registry
from copl_core.report.curves import draw_curves
from copl_core.report.examples import Tested, retest
from copl_core.report.page import check_installed, write_page
from copl_core.report.parameters import try_count
from copl_core.report.run import Run, read_run

REPORT_FILE = "report.html"
#: Test scores of now and of then that differ by more are told.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Column:
    """Scores in a table.

    Attributes:
        name: Of the column.
        note: Below the name.
        scores: By name.
    """

    name: str
    note: str
    scores: Mapping[str, float]


def report_run(
    folder: Path,
    registry: Registry,
    *,
    baseline: Path | None = None,
    out: Path | None = None,
    examples: int = 3,
    device: torch.device | None = None,
    options: Sequence[str] = (),
) -> tuple[Path, list[str]]:
    """Write the page of a run.

    Args:
        folder: The work dir.
        registry: Resolves its components.
        baseline: Work dir of a finished run to compare the scores with, one without prompts, say.
        out: The page; ``report.html`` in the work dir if None.
        examples: Test clips to show of the best, and of the worst.
        device: Where to test the export; None does not test it and leaves out what only a test tells.
        options: Changes to the run's config, ``path=value`` each, such as another place of the data.

    Returns:
        The page, and what it had to do without, one line each.

    Raises:
        CoplError: The work dirs are none, or damaged, or don't fit each other.
    """
    check_installed()
    run = read_run(folder, options)
    other = None if baseline is None else _read_baseline(baseline, run)
    notes = [run.problem] if run.problem else []
    tested = _try_test(run, registry, examples, device, notes)
    groups = try_count(run, registry, notes)
    path = out or folder / REPORT_FILE
    main, more = draw_curves({run.name: run}, selecting_score(run, registry)[0])
    write_page(
        path,
        "report.html",
        title=run.name,
        run=run,
        columns=_columns(run, tested, other),
        has_baseline=other is not None,
        differs=_differs(run, tested),
        main=main,
        more=more,
        tested=tested,
        groups=groups,
        files=[(each.name, each.stat().st_size) for each in _files(run)],
        config=dump_config(run.config),
        notes=notes,
        made=stamp(),
    )
    return path, notes


def stamp() -> str:
    """When a page is made, and by what."""
    return f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, copl {copl_core.__version__}"


def selecting_score(run: Run, registry: Registry) -> tuple[str, bool]:
    """Name of the score by which the run's task selects, and whether higher is better; no name if it can't be told."""
    try:
        task: type[Task] = registry.resolve_component(registry.table.find("task", run.plain("task.type")))
    except CoplError:
        return "", True  # The page says elsewhere what is not installed.
    return task.select_by, task.higher_is_better


def _read_baseline(folder: Path, run: Run) -> Run:
    other = read_run(folder)
    if other.results is None:
        raise ConfigError(f"--baseline {folder}: the run is unfinished, it has no test scores")
    mine, theirs = run.plain("task.type"), other.plain("task.type")
    if mine != theirs:
        raise ConfigError(f"--baseline {folder}: a run of task {theirs}, but {run.folder} is of task {mine}")
    return other


def _try_test(
    run: Run, registry: Registry, examples: int, device: torch.device | None, notes: list[str]
) -> Tested | None:
    """Test a finished run; notes why not. An unfinished one isn't tested: its test scores must not steer it."""
    if run.results is None or run.problem or device is None:
        return None
    try:
        return retest(run, registry, examples=examples, device=device)
    except CoplError as error:
        notes.append(f"The export can't be tested here, so there are no tables by class and no examples: {error}")
    return None


def _columns(run: Run, tested: Tested | None, other: Run | None) -> list[Column]:
    """The run's own scores first."""
    if run.results is None:
        return []
    columns = [
        Column("test", "this run", run.results.test),
        Column(
            run.results.selected_on,
            f"at epoch {run.results.epoch}",
            run.results.selected,
        ),
    ]
    if tested is not None:
        columns += [Column(name, "baseline", scores) for name, scores in tested.baselines.items()]
    if other is not None and other.results is not None:
        columns.append(Column(other.name, f"test, tuner {other.plain('tuner.type')}", other.results.test))
    return columns


def _differs(run: Run, tested: Tested | None) -> bool:
    """Whether the test scores of now are not those of the training."""
    if tested is None or run.results is None:
        return False
    then = run.results.test
    return any(not abs(value - then.get(name, value)) <= TOLERANCE for name, value in tested.scores.items())


def _files(run: Run) -> list[Path]:
    return [path for name in (PROMPTS_FILE, HEAD_FILE) if (path := run.export / name).exists()]
