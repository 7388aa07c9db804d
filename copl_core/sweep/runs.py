"""The runs of a study: planned, checked together, and what lies in their folders."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copl_core.api import ConfigError
from copl_core.config import Config, check_config, load_config, usable
from copl_core.config.same import other_settings
from copl_core.config.strict_yaml import dump_inline
from copl_core.results import COST_FILE, RESULTS_FILE, Results, read_results
from copl_core.sweep.study import Row, Study

if TYPE_CHECKING:
    from copl_core.registry import Registry

CONFIG_FILE = "config.yaml"
# Any of these is something to lose. Importing the names from the engine would import torch.
_WORK = (RESULTS_FILE, COST_FILE, "resume.pt", "resume.previous.pt")


@dataclass(frozen=True)
class Run:
    """One training of a study.

    Attributes:
        row: Name of its row.
        seed: Its seed.
        config: The resolved config, seed included.
        folder: Its work dir; what it prints goes to ``console.txt`` there.
    """

    row: str
    seed: int
    config: Mapping[str, Any]
    folder: Path

    def results(self) -> Results | None:
        """The results, if the run is finished.

        Raises:
            ConfigError: The folder holds a run of another config, or can't be read. It is to be left as it is.
        """
        if not any((self.folder / name).exists() for name in _WORK):
            return None
        differing = other_settings(self._saved(), self.config)
        if differing:
            raise ConfigError(
                f"{self.folder} holds a run of another config, which was left as it is; these parts differ: "
                f"{', '.join(differing)}. Choose another --work-dir, or move the folder away"
            )
        return read_results(self.folder)

    def _saved(self) -> Config:
        path = self.folder / CONFIG_FILE
        if not path.is_file():
            raise ConfigError(
                f"{self.folder} holds a run without its {CONFIG_FILE}, so nobody knows of which config; "
                "put the file back, or move the folder away"
            )
        return load_config(path)


def plan(study: Study, file: Path, work_dir: Path, registry: "Registry") -> list[Run]:
    """Resolve and check the configs of all runs.

    Args:
        study: The study.
        file: Where it was read from; its base config is relative to it.
        work_dir: Of all; a run lies in ``<row>/seed-<n>``.
        registry: Resolves components.

    Returns:
        The runs in order of the rows.

    Raises:
        ConfigError: A row's config is wrong; names the row. Nothing has been started.
    """
    runs: list[Run] = []
    folders = set()
    for row in study.settings():
        folder = work_dir / _slug(row.name)
        if folder in folders:
            raise ConfigError(f"{file}: the rows' names must differ in letters and digits; two would share {folder}")
        folders.add(folder)
        runs += plan_row(study, row, folder, file, registry)
    return runs


def plan_row(study: Study, row: Row, folder: Path, file: Path, registry: "Registry") -> list[Run]:
    """Resolve and check the configs of one row, see ``plan``; its runs lie in ``seed-<n>`` below the folder."""
    seeds = study.seeds if row.seeds is None else row.seeds
    return [Run(row.name, seed, _resolve(study, row, seed, registry, file), folder / f"seed-{seed}") for seed in seeds]


def _resolve(study: Study, row: Row, seed: int, registry: "Registry", file: Path) -> dict[str, Any]:
    where = f"{file}: row {row.name!r}"
    try:
        blocks: dict[str, Any] = {}
        for name in row.replace:
            blocks |= usable(load_config(file.parent / name), name)
        values = {**blocks, **study.options, **row.options, "seed": seed}
        options = [_option(path, value) for path, value in values.items()]
        config = load_config(file.parent / (row.config or study.config), options)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return check_config(config, registry, where).source


def _option(path: str, value: Any) -> str:
    """A value as ``--cfg-options`` takes it."""
    return f"{path}={repr(value) if isinstance(value, str) else dump_inline(value)}"


def _slug(name: str) -> str:
    return "-".join(re.findall(r"[\w.]+", name)) or "row"
