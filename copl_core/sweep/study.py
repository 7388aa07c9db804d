"""What a study file says."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError
from copl_core.config.strict_yaml import dump_inline, read_yaml
from copl_core.config.values import ValueReader


@dataclass(frozen=True)
class Row:
    """One setting of a study.

    Attributes:
        name: How tables call it.
        config: Its base config where it isn't the study's.
        replace: Config files whose top-level blocks stand in for those of the base: another tuner, other encoders.
        options: Config values by path, over those of the study.
        seeds: Its seeds where they aren't the study's.
    """

    name: str
    config: str | None = None
    replace: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Refuse a name that names nothing, and seeds that make no runs."""
        if not self.name.strip():
            raise ConfigError("name is empty: it heads the row in the table")
        _check_seeds(self.seeds)


@dataclass(frozen=True)
class Range:
    """The values that a search may give a setting: ``choices``, or all from ``low`` to ``high``.

    Attributes:
        low: The smallest. If it and ``high`` are whole numbers, so are all values.
        high: The largest.
        log: Search on a logarithmic scale.
        step: Between neighbouring values; all of them if None.
        choices: Values of any kind, blocks too.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None
    choices: Sequence[Any] = ()

    def __post_init__(self) -> None:
        """Refuse what is no range, or two in one."""
        if self.choices:
            if (self.low, self.high, self.log, self.step) != (None, None, False, None):
                raise ConfigError("expected either 'choices', or 'low' and 'high'")
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ConfigError(f"expected 'choices', or 'low' below 'high'; got low {self.low}, high {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ConfigError("log needs a low above 0 and no step")
        if self.step is not None and self.step <= 0:
            raise ConfigError(f"step is {self.step}: must be above 0")

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return all(each is None or type(each) is int for each in (self.low, self.high, self.step))


@dataclass(frozen=True)
class Search:
    """Settings that Optuna proposes, the better ones more often.

    Attributes:
        space: Ranges by path.
        trials: How many settings to train.
        score: Of the validation split, to be made as good as can be; the one that selects the epoch if None.
        sampler_seed: Of the proposals.
    """

    space: Mapping[str, Range]
    trials: int = 20
    score: str | None = None
    sampler_seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a search for nothing."""
        if not self.space:
            raise ConfigError("space is empty: name at least one path")
        if self.trials < 1:
            raise ConfigError(f"trials is {self.trials}: must be at least 1")


@dataclass(frozen=True)
class Study:
    """A base config and what is varied: ``rows`` lists the settings, ``grid`` spans them, or ``search`` looks for them.

    Attributes:
        config: The base config; like all files relative to the study file.
        rows: The settings, one a row of the table.
        grid: Values by path; every combination is a row. Paths with commas between take the same value.
        search: How settings are looked for.
        options: Config values by path, for all rows.
        seeds: Each row is trained once with each.
        score: What tables and plot show: a test score by its name, or any column of ``results.csv``; the task's first
            test score if None.
        columns: What the Markdown table shows beside it, named in the same way.
        title: Heads the table; the file's name if empty.
    """

    config: str
    rows: Sequence[Row] = ()
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    search: Search | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] = (0, 1, 2)
    score: str | None = None
    columns: Sequence[str] = ()
    title: str = ""

    def __post_init__(self) -> None:
        """Refuse a study without settings, or with two of one name."""
        if sum(map(bool, (self.rows, self.grid, self.search))) != 1:
            raise ConfigError(
                "expected one of 'rows', a list of settings, 'grid', values by path, and 'search', ranges by path"
            )
        if self.search and self.score:
            raise ConfigError("a search has search.score, of the validation split, instead of score")
        empty = [path for path, values in self.grid.items() if not values]
        if empty:
            raise ConfigError(f"grid.{empty[0]} has no values")
        _check_seeds(self.seeds)
        names = [row.name for row in self.settings()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"two rows are named {twice[0]!r}")

    def settings(self) -> list[Row]:
        """The rows as listed, or all combinations of the grid, the last axis running fastest; none of a search."""
        if not self.grid:
            return list(self.rows)
        return [
            self.point(dict(zip(self.grid, values, strict=True))) for values in itertools.product(*self.grid.values())
        ]

    def point(self, values: Mapping[str, Any]) -> Row:
        """The row of these values on the axes of the grid, or in the space of the search."""
        labels = self.labels()
        name = ", ".join(f"{labels[paths]}={dump_inline(value)}" for paths, value in values.items())
        return Row(name, options={path.strip(): value for paths, value in values.items() for path in paths.split(",")})

    def labels(self) -> dict[str, str]:
        """The paths of the axes by their last key, whole where two end alike."""
        axes = self.search.space if self.search else self.grid
        last = {path: path.rpartition(".")[2] for path in axes}
        return {path: key if list(last.values()).count(key) == 1 else path for path, key in last.items()}


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises:
        ConfigError: It isn't one; begins with the file and lists every problem.
    """
    values = read_yaml(path)
    reader = ValueReader()
    study = reader.read(values, Study, "")
    if reader.problems:
        raise ConfigError("\n".join([f"{path}: not a study", *(f"  {problem}" for problem in reader.problems)]))
    assert isinstance(study, Study)
    return study


def _check_seeds(seeds: Sequence[int] | None) -> None:
    if seeds is not None and (not seeds or len(set(seeds)) < len(seeds)):
        raise ConfigError(f"seeds is {list(seeds)}: expected different seeds, at least one")
