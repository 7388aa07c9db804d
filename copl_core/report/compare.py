"""Several runs side by side on a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from copl_core.api import ConfigError, CoplError
from copl_core.config.explain import leaves
from copl_core.config.strict_yaml import dump_inline
from copl_core.engine.test import TestResult
from copl_core.registry import Registry
from copl_core.report.curves import draw_curves
from copl_core.report.examples import Example, draw_example, find_baselines, score_export
from copl_core.report.page import NONE, check_installed, write_page
from copl_core.report.parameters import Group, try_count
from copl_core.report.report import selecting_score, stamp
from copl_core.report.run import Run, read_run

COMPARE_FILE = "compare.html"


def compare_runs(
    folders: Sequence[Path],
    registry: Registry,
    *,
    out: Path,
    examples: int = 3,
    device: torch.device | None = None,
) -> tuple[Path, list[str]]:
    """Write the page of several runs.

    Args:
        folders: Two work dirs at least.
        registry: Resolves their components.
        out: The page.
        examples: Test clips to show of which the runs differ most.
        device: Where to test the exports; None tests none and leaves out what only a test tells: baselines, scores by
            class, and examples.

    Returns:
        The page, and what it had to do without, one line each.

    Raises:
        CoplError: A folder is no work dir, or damaged, or named twice.
    """
    check_installed()
    if len(folders) < 2:
        raise ConfigError("give at least two work dirs; for one there is copl report")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError("a work dir is named twice")
    by_name = dict(zip(short_names(folders), map(read_run, folders), strict=True))
    runs = list(by_name.values())
    notes = [run.problem for run in runs if run.problem]
    groups = [try_count(run, registry, notes) for run in runs]
    selecting, higher = selecting_score(runs[0], registry)
    main, more = draw_curves(by_name, selecting)
    tested = {} if device is None else _test(by_name, registry, device, notes)
    write_page(
        out,
        "compare.html",
        title=f"{len(runs)} runs",
        runs=by_name,
        scores=_scores(runs, higher),
        baselines=_baselines(by_name, tested, notes),
        tables=_tables(tested),
        tested=list(tested),
        examples=_examples(by_name, tested, examples, device, notes),
        higher=higher,
        main=main,
        more=more,
        differences=config_differences(runs),
        parts_of=_parts(groups),
        notes=notes,
        made=stamp(),
    )
    return out, notes


def short_names(folders: Sequence[Path]) -> list[str]:
    """The ends of the paths, as long as they must be to differ."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError("the folders are not different ones")


def config_differences(runs: Sequence[Run]) -> dict[str, list[str]]:
    """What is not the same in all configs: values by path, as YAML, a dash where a config has none."""
    values = [{path: dump_inline(value) for path, value in leaves(run.config)} for run in runs]
    paths = dict.fromkeys(path for each in values for path in each)
    rows = {path: [each.get(path, NONE) for each in values] for path in paths}
    return {path: row for path, row in rows.items() if len(set(row)) > 1}


def _scores(runs: Sequence[Run], higher: bool) -> dict[str, list[tuple[float | None, bool]]]:
    """Test scores by name: of each run its value, and whether it is the best."""
    tests: list[Mapping[str, float]] = [run.results.test if run.results else {} for run in runs]
    rows: dict[str, list[tuple[float | None, bool]]] = {}
    for name in dict.fromkeys(name for test in tests for name in test):
        values = [test.get(name) for test in tests]
        known = [value for value in values if value is not None]
        best = max(known) if higher else min(known)
        rows[name] = [(value, len(known) > 1 and value == best) for value in values]
    return rows


def _parts(groups: Sequence[Sequence[Group]]) -> dict[str, list[Group | None]]:
    """Parameters by part of the model: of each run its own, None where it has none."""
    names = dict.fromkeys(group.name for each in groups for group in each)
    return {name: [next((g for g in each if g.name == name), None) for each in groups] for name in names}


def _test(runs: Mapping[str, Run], registry: Registry, device: torch.device, notes: list[str]) -> dict[str, TestResult]:
    """Test what is finished; notes what can't be tested. An unfinished run isn't: test scores must not steer it."""
    tested = {}
    for name, run in runs.items():
        if run.results is None or run.problem:
            continue
        try:
            tested[name] = score_export(run, registry, device)
        except CoplError as error:
            notes.append(f"The export of {name} can't be tested here, so it has no scores by class: {error}")
    return tested


def _baselines(
    runs: Mapping[str, Run], tested: Mapping[str, TestResult], notes: list[str]
) -> Mapping[str, Mapping[str, float]]:
    """Scores by what is answered without a look at a clip; none for runs of several data sets, which have others."""
    if not tested or not _same_data([runs[name] for name in tested]):
        return {}
    found, missing = find_baselines(next(iter(tested.values())))
    if missing:
        notes.append(f"No baselines: {missing}")
    return found


def _tables(tested: Mapping[str, TestResult]) -> dict[tuple[str, str], dict[str, list[float | None]]]:
    """By score and kind of parts: of each part the scores of the tested runs, None where one has no such part."""
    parts = [result.metric.breakdown(list(result.measured.values())) for result in tested.values()]
    tables: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    for title in dict.fromkeys(title for each in parts for title in each):
        rows = dict.fromkeys(row for each in parts for row in each.get(title, {}))
        values = {row: [each.get(title, {}).get(row, {}) for each in parts] for row in rows}
        names = dict.fromkeys(name for row in values.values() for cell in row for name in cell)
        for name in names:
            table = {row: [cell.get(name) for cell in cells] for row, cells in values.items()}
            if any(isinstance(value, float) for row in table.values() for value in row):  # not a count of clips
                tables[name, title] = table
    return tables


def _examples(
    runs: Mapping[str, Run], tested: Mapping[str, TestResult], count: int, device: torch.device | None, notes: list[str]
) -> list[list[tuple[str, Example]]]:
    """The clips on whose scores the runs differ most: of each the pictures of all tested runs."""
    if device is None or len(tested) < 2 or not count:
        return []
    if not _same_data([runs[name] for name in tested]):
        notes.append("No clips side by side: task.dataset is not the same in all runs.")
        return []
    results = list(tested.values())
    scores: dict[int, list[float]] = {}
    for index in set.intersection(*(set(result.measured) for result in results)):
        values = [result.metric.clip_score(result.measured[index]) for result in results]
        known = [value for value in values if value is not None]
        if len(known) == len(results):
            scores[index] = known
    most = sorted(scores, key=lambda index: (min(scores[index]) - max(scores[index]), index))[:count]
    return [
        [
            (name, draw_example(result, index, score, device))
            for (name, result), score in zip(tested.items(), scores[index], strict=True)
        ]
        for index in most
    ]


def _same_data(runs: Sequence[Run]) -> bool:
    """Whether their clips have the same numbers."""
    task = [run.config["task"] for run in runs]
    return all(
        (each.get("type"), each.get("dataset")) == (task[0].get("type"), task[0].get("dataset")) for each in task
    )
