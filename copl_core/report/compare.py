"""Several runs side by side on a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from copl_core.api import ConfigError
from copl_core.config.explain import leaves
from copl_core.config.strict_yaml import dump_inline
from copl_core.registry import Registry
from copl_core.report.curves import draw_curves
from copl_core.report.page import NONE, check_installed, write_page
from copl_core.report.parameters import Group, try_count
from copl_core.report.report import selecting_score, stamp
from copl_core.report.run import Run, read_run

COMPARE_FILE = "compare.html"


def compare_runs(folders: Sequence[Path], registry: Registry, *, out: Path) -> tuple[Path, list[str]]:
    """Write the page of several runs. Reads their work dirs only; nothing is tested again.

    Args:
        folders: Two work dirs at least.
        registry: Resolves their components.
        out: The page.

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
    write_page(
        out,
        "compare.html",
        title=f"{len(runs)} runs",
        runs=by_name,
        scores=_scores(runs, higher),
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
