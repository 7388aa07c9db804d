"""Looks for good settings with Optuna. Trials lie in their folders with what they came to."""

import json
import statistics
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copl_core.api import ConfigError
from copl_core.atomic import write_text
from copl_core.config.records import read_record
from copl_core.plugins.suggest import did_you_mean
from copl_core.sweep.runs import Run, plan_row
from copl_core.sweep.study import Range, Study
from copl_core.sweep.workers import Workers

if TYPE_CHECKING:
    from copl_core.contracts import Task
    from copl_core.registry import Registry

TRIAL_FILE = "trial.json"


@dataclass(frozen=True)
class Proposal:
    """A setting that was proposed, in ``trial.json``.

    Attributes:
        params: By path of the search space, as Optuna has them: a number, or the index of a choice.
    """

    params: Mapping[str, Any]


class Searcher:
    """A search and its trials so far.

    Args:
        study: With a ``search``.
        file: Where it was read from.
        work_dir: Of all; a run lies in ``trial-<n>/seed-<n>``.
        registry: Resolves components.

    Raises:
        ConfigError: Optuna is missing; a setting at an end of its range is refused; a trial's file is damaged or of
            another search.
    """

    def __init__(self, study: Study, file: Path, work_dir: Path, registry: "Registry") -> None:
        assert study.search is not None
        self.study, self.space, self.settings = study, study.search.space, study.search
        self._file, self._work_dir, self._registry = file, work_dir, registry
        self._lock = threading.Lock()
        self._optuna = _import_optuna()
        self._distributions = {path: _distribution(self._optuna, each) for path, each in self.space.items()}
        task = self._check_ends()
        self.score = self.settings.score or task.select_by
        # A score that isn't the selecting one is taken to be better when higher.
        higher = task.higher_is_better or self.score != task.select_by
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        self._proposals = self._optuna.create_study(direction="maximize" if higher else "minimize")
        self.runs: dict[int, list[Run]] = {}
        for number in self._numbers():
            proposal = read_record(self._folder(number) / TRIAL_FILE, Proposal)
            self._check_own(number, proposal)
            self.runs[number] = self._plan(number, proposal.params)
            value = self.value(number)
            if value is not None:
                self._proposals.add_trial(
                    self._optuna.trial.create_trial(
                        params=dict(proposal.params), distributions=self._distributions, value=value
                    )
                )

    def go(self, workers: Workers) -> None:
        """Train the trials that aren't finished, then new ones up to the number that the study asks for."""
        unfinished = [number for number in self.runs if self.value(number) is None]
        new = range(self._next(), self._next() + max(0, self.settings.trials - len(self.runs)))
        workers.map(lambda number: self._try(number, workers), [*unfinished, *new])

    def remaining(self) -> int:
        """How many trials are to be trained."""
        finished = sum(self.value(number) is not None for number in self.runs)
        return max(self.settings.trials, len(self.runs)) - finished

    def ranked(self) -> list[Run]:
        """The runs of all trials, the best first and those without a value last."""
        best = 1 if self._proposals.direction.name == "MINIMIZE" else -1
        values = {number: self.value(number) for number in self.runs}

        def place(number: int) -> tuple[bool, float, int]:
            value = values[number]
            return value is None, best * (value or 0.0), number

        return [run for number in sorted(self.runs, key=place) for run in self.runs[number]]

    def value(self, number: int) -> float | None:
        """Mean of a trial's score over its seeds; None if it isn't finished.

        Raises:
            ConfigError: The results can't be read, or lack the score.
        """
        found = []
        for run in self.runs[number]:
            results = run.results()
            if results is None:
                return None
            if self.score not in results.selected:
                raise ConfigError(
                    f"search.score: {run.folder} has no {self.score!r}{did_you_mean(self.score, results.selected)} "
                    f"(it has {', '.join(results.selected)})"
                )
            found.append(results.selected[self.score])
        return statistics.fmean(found)

    def _try(self, number: int, workers: Workers) -> None:
        if number in self.runs:
            runs, trial = self.runs[number], None
        else:
            with self._lock:
                trial = self._ask(number)
                write_text(self._folder(number) / TRIAL_FILE, json.dumps({"params": trial.params}, indent=2) + "\n")
                runs = self.runs[number] = self._plan(number, trial.params)
        for run in runs:
            if workers.train(run).state == "failed":
                break
        value = self.value(number)
        if trial is not None:
            failed = self._optuna.trial.TrialState.FAIL
            self._proposals.tell(trial, value, state=failed if value is None else None)

    def _ask(self, number: int) -> Any:
        """A proposal that depends on the trials before it alone, so that an interrupted search goes the same way."""
        self._proposals.sampler = self._optuna.samplers.TPESampler(seed=self.settings.sampler_seed + number)
        self._folder(number).mkdir(parents=True, exist_ok=True)
        return self._proposals.ask(self._distributions)

    def _plan(self, number: int, params: Mapping[str, Any]) -> list[Run]:
        row = self.study.point(self._values(params))
        return plan_row(self.study, row, self._folder(number), self._file, self._registry)

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {path: each.choices[params[path]] if each.choices else params[path] for path, each in self.space.items()}

    def _check_ends(self) -> "type[Task]":
        """Refuse before anything is trained what the first or last value of a range would be refused for."""
        last: list[Run] = []
        for params in _ends(self.space):
            last = self._plan(0, params)
        task = last[0].config["task"]
        name = task if isinstance(task, str) else task["type"]
        found: type[Task] = self._registry.resolve_component(self._registry.table.find("task", name))
        return found

    def _check_own(self, number: int, proposal: Proposal) -> None:
        for path, values in self.space.items():
            if path not in proposal.params or not _holds(values, proposal.params[path]):
                raise ConfigError(
                    f"{self._folder(number) / TRIAL_FILE} is of another search: it has no {path} within this one's "
                    "range. Choose another --work-dir, or move the folder away"
                )

    def _numbers(self) -> list[int]:
        found = (path.parent.name.removeprefix("trial-") for path in self._work_dir.glob(f"trial-*/{TRIAL_FILE}"))
        return sorted(int(number) for number in found if number.isdecimal())

    def _next(self) -> int:
        return max(self.runs, default=-1) + 1

    def _folder(self, number: int) -> Path:
        return self._work_dir / f"trial-{number:03d}"


def _ends(space: Mapping[str, Range]) -> Iterator[dict[str, Any]]:
    """Settings that have every choice and both ends of every range among them."""
    ends: dict[str, Sequence[Any]] = {
        path: range(len(each.choices)) if each.choices else (each.low, each.high) for path, each in space.items()
    }
    for index in range(max(map(len, ends.values()))):
        yield {path: values[min(index, len(values) - 1)] for path, values in ends.items()}


def _holds(values: Range, value: Any) -> bool:
    if not isinstance(value, int | float):
        return False
    if values.choices:
        return value in range(len(values.choices))
    assert values.low is not None
    assert values.high is not None
    return values.low <= value <= values.high


def _distribution(optuna: Any, values: Range) -> Any:
    distributions = optuna.distributions
    if values.choices:
        return distributions.CategoricalDistribution(range(len(values.choices)))
    if values.whole:
        return distributions.IntDistribution(values.low, values.high, log=values.log, step=values.step or 1)
    return distributions.FloatDistribution(values.low, values.high, log=values.log, step=values.step)


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("'search' needs Optuna: pip install 'copl[search]'") from error
    return optuna
