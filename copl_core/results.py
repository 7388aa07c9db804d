"""What a training says of itself, in files of its work dir. Imports no torch."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError
from copl_core.config.records import MOVE_AWAY, as_record, read_json, read_record

RESULTS_FILE = "results.json"
COST_FILE = "cost.json"
RUN_FILE = "run.json"


@dataclass(frozen=True)
class Spread:
    """A score over several seeds.

    Attributes:
        values: One a seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Their sample standard deviation (n - 1); None of a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __format__(self, spec: str) -> str:
        """``mean +- std``, both formatted by ``spec``."""
        return format(self.mean, spec) + ("" if self.std is None else f" +- {self.std:{spec}}")


@dataclass(frozen=True)
class Results:
    """Scores, in ``results.json``: the same for every training of a config, however often it was interrupted.

    Attributes:
        epoch: The selected one, counted from 1.
        selected_on: The split it was selected on.
        selection: Its scores there.
        test: Its test scores.
        protocol: Of the run.
        seed: Of the run.
        skipped: Clips left out, by split.
        skipped_steps: Steps left out because of numbers that are not finite.
    """

    epoch: int
    selected_on: str
    selection: Mapping[str, float]
    test: Mapping[str, float]
    protocol: str
    seed: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    skipped_steps: int = 0

    @property
    def selected(self) -> dict[str, float]:
        """The scores of the selected epoch by their plain names."""
        return {name.rpartition("/")[2]: value for name, value in self.selection.items()}


@dataclass(frozen=True)
class Cost:
    """What the training took, in ``cost.json``: measured, so no two trainings have the same.

    Attributes:
        device: That trained.
        additional_parameters: Of the tuner, trained beside the encoders.
        head_parameters: Of the task's head.
        peak_memory_mb: In units of 10^6 bytes. On CUDA the most that was allocated while training; on the CPU the most
            that the process had in memory, all it has imported included. Of several processes the largest.
        seconds_per_step: Of the optimizer, data included: the median over the last start.
    """

    device: str
    additional_parameters: int
    head_parameters: int
    peak_memory_mb: float | None = None
    seconds_per_step: float | None = None

    def measures(self) -> dict[str, float]:
        """What is a number, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, (int, float))}


@dataclass(frozen=True)
class Start:
    """One start of a training, see ``run.json``."""

    started: str = ""
    command: str = ""
    device: str = ""
    processes: int = 1
    platform: str = ""
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    plugins: Sequence[Mapping[str, Any]] = ()
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    commit: str | None = None


def read_results(folder: Path) -> Results | None:
    """The results of a work dir; None if it has none.

    Raises:
        ConfigError: They can't be read or are damaged.
    """
    path = folder / RESULTS_FILE
    return read_record(path, Results) if path.exists() else None


def read_cost(folder: Path) -> Cost | None:
    """The cost of a work dir; None if it wasn't measured.

    Raises:
        ConfigError: It can't be read or is damaged.
    """
    path = folder / COST_FILE
    return read_record(path, Cost) if path.exists() else None


def read_starts(folder: Path) -> list[Start]:
    """How the run of a work dir was started; none where that was not recorded.

    Raises:
        ConfigError: ``run.json`` can't be read or is damaged.
    """
    path = folder / RUN_FILE
    if not path.exists():
        return []
    document = read_json(path)
    starts = document.get("starts") if isinstance(document, dict) else None
    if not isinstance(starts, list):
        raise ConfigError(f"{path}: expected a list 'starts'; {MOVE_AWAY}")
    return [as_record(start, Start, path) for start in starts]
