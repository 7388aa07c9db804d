"""copl data check: what a data set holds, beside what was published, and everything training would refuse.

Exit code 1 if training would not start.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from copl_core.cli.data.common import add_dataset_options, dataset_factory

if TYPE_CHECKING:
    from rich.console import Console

    from copl_core.contracts import Dataset
    from copl_core.data.survey import Survey
    from copl_core.registry import Registry

#: Problems shown of each split; --json has all.
SHOWN = 50


def add_parser(actions: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = actions.add_parser("check", help="counts, duplicates, leaks and unusable media", description=__doc__)
    add_dataset_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look and print."""
    import logging

    from rich.console import Console

    from copl_core.data.survey import survey
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    registry = Registry(get_table())
    make = dataset_factory(options.task, options.root, options.cfg_options, registry, on_error="skip")
    check = _task_check(registry, options.task)
    log = logging.getLogger("copl")
    level = log.level
    log.setLevel(logging.ERROR)  # what is skipped is in the tables
    try:
        with Console(stderr=True).status("looking at every clip"):
            found = survey(make, check)
    finally:
        log.setLevel(level)
    if options.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        console = Console()
        # Piped output has no width of its own; paths must not be cut.
        _show(found, options.root, console if console.is_terminal else Console(width=160))
    return 0 if found.ready else 1


def _task_check(registry: "Registry", name: str) -> "Callable[[Mapping[str, Dataset]], object]":
    """What the task of a data set's name has to say about its splits; nothing where there is no such task."""
    from copl_core.api import PluginError
    from copl_core.contracts import Task

    try:
        task: Any = registry.resolve("task", name)
    except PluginError:
        task = Task
    check: Callable[[Mapping[str, Dataset]], object] = task.check
    return check


def _show(found: "Survey", root: str, console: "Console") -> None:
    from rich.table import Table

    for source in found.sources:
        console.print(_plain(f"found: {source}"), soft_wrap=True)
    lists = Table("split", "what", title="what the lists hold", title_justify="left")
    for column in ("found", "published"):
        lists.add_column(column, justify="right")
    lists.add_column("")
    for row in _count_rows(found):
        lists.add_row(*row)
    console.print(lists)
    problems = Table(title=_plain(f"problems in {root}"), title_justify="left", show_lines=True)
    problems.add_column("where", overflow="fold")
    problems.add_column("what", overflow="fold")
    for where, what in _problem_rows(found):
        problems.add_row(_plain(_below(root, where)), _plain(what))
    if found.misfit is not None:
        problems.add_row("all splits", _plain(found.misfit))
    if problems.row_count:
        console.print(problems)
    console.print(_plain(_verdict(found)), soft_wrap=True)


def _verdict(found: "Survey") -> str:
    """Whether training would start, and if not, whether leaving out what has problems would help."""
    if found.ready:
        return "training can start"
    total = len(_distinct(found)) + (found.misfit is not None)
    told = f"training would refuse this data: {'1 problem' if total == 1 else f'{total} problems'}"
    if found.hopeless:
        nothing = " and ".join(found.hopeless)
        return f"{told}; task.dataset.on_error: skip does not help, for nothing of {nothing} is left"
    if found.misfit is not None:
        return f"{told}; task.dataset.on_error: skip does not help"
    lost = sum(problem.samples for split in found.splits for problem in split.problems)
    return f"{told}; task.dataset.on_error: skip leaves out what has them, {lost:,} of the samples"


def _distinct(found: "Survey") -> dict[tuple[str, str], list[str]]:
    """The splits that have a problem, by its place and what it is; several may have one, as a folder that is missing.

    The place is empty where it is the split as a whole.
    """
    splits: dict[tuple[str, str], list[str]] = {}
    for split in found.splits:
        for problem in split.problems:
            place = "" if problem.where == split.split else problem.where
            splits.setdefault((place, problem.what), []).append(split.split)
    return splits


def _problem_rows(found: "Survey") -> Iterator[tuple[str, str]]:
    """Place and reason."""
    distinct = _distinct(found)
    for split in found.splits:
        own = [key for key, splits in distinct.items() if splits[0] == split.split]
        for place, what in own[:SHOWN]:
            yield place or ", ".join(distinct[place, what]), what
        if len(own) > SHOWN:
            yield split.split, f"... and {len(own) - SHOWN} more; --json has all"


def _count_rows(found: "Survey") -> Iterator[tuple[str, ...]]:
    """Split, what, found, published, mark."""
    for split in found.splits:
        for name, count in (split.contents.counts if split.contents else {}).items():
            yield split.split, _plain(name), *_figures(count.found, count.published)
        yield split.split, "usable samples", f"{split.usable:,}", "", ""
        if split.duplicates:
            yield split.split, "listed more than once", f"{len(split.duplicates):,}", "", ""
    for name, count in found.whole.items():
        yield "all", _plain(name), *_figures(count.found, count.published)
    for leak in found.leaks:
        if leak.videos or leak.published:
            yield " + ".join(leak.splits), "videos in both", *_figures(len(leak.videos), leak.published)


def _figures(found: int, published: int | None) -> tuple[str, str, str]:
    if published is None:
        return f"{found:,}", "", ""
    return f"{found:,}", f"{published:,}", "" if found == published else "differs"


def _below(root: str, where: str) -> str:
    """A place without the folder that a person has named: file and line fit on one line of the table."""
    return where.removeprefix(root.rstrip("/") + "/")


def _plain(text: str) -> str:
    """Text whose brackets are no mark-up."""
    from rich.markup import escape

    return escape(text)
