"""What a training has left in its work dir, read and checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError, WeightsError
from copl_core.checkpoint import PROMPTS_FILE, Header, read_header
from copl_core.config import Config, load_config
from copl_core.config.records import MOVE_AWAY, parse_json, read_text
from copl_core.engine.hooks.metrics_log import METRICS_FILE
from copl_core.engine.train import CONFIG_FILE, EXPORT_FOLDER
from copl_core.results import Results, Start, read_results, read_starts

#: Of a training; a larger number is damage.
_MOST_EPOCHS = 10**9


@dataclass(frozen=True)
class Row:
    """Mean losses or scores of an epoch.

    Attributes:
        epoch: Counted from 1.
        split: ``train``, or the one that was validated on.
        values: By name; names of losses begin with ``loss``.
    """

    epoch: int
    split: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """A work dir.

    Attributes:
        folder: The work dir.
        config: Its resolved config.
        rows: Its curves.
        results: None if the run is unfinished.
        starts: How it was started; empty where nothing was recorded.
        header: What its export says about itself; None where there is none yet, or none that can be read.
        problem: Why it can't be read, if so.
    """

    folder: Path
    config: Config
    rows: Sequence[Row]
    results: Results | None
    starts: Sequence[Start]
    header: Header | None
    problem: str = ""

    @property
    def name(self) -> str:
        """The end of its path."""
        return self.folder.resolve().name

    @property
    def export(self) -> Path:
        """Where its prompts and head lie."""
        return self.folder / EXPORT_FOLDER

    @property
    def epochs(self) -> tuple[int, int]:
        """Epochs that are on record, and epochs that are planned."""
        return max((row.epoch for row in self.rows), default=0), int(self.config["schedule"]["epochs"])

    @property
    def components(self) -> Mapping[str, Mapping[str, Any]]:
        """Provider of every component, as the last start has recorded it, else as the export holds it."""
        if self.starts:
            return self.starts[-1].components
        return self.header.components if self.header else {}

    def curve(self, split: str, name: str) -> list[tuple[int, float]]:
        """Epochs and values of one quantity."""
        return [(row.epoch, row.values[name]) for row in self.rows if row.split == split and name in row.values]

    def quantities(self) -> list[tuple[str, str]]:
        """Split and name of everything that has a curve, in order of appearance."""
        return list(dict.fromkeys((row.split, name) for row in self.rows for name in row.values))

    def plain(self, path: str) -> str:
        """A value of the config as text, empty where there is none."""
        value: Any = self.config
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return "" if value is None else str(value)


def read_run(folder: Path, options: Sequence[str] = ()) -> Run:
    """Read a work dir.

    Args:
        folder: Of ``copl train``.
        options: Changes to its config, ``path=value`` each.

    Raises:
        ConfigError: It is no work dir, or a file in it is damaged.
    """
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}; give the work dir of a copl train")
    if not (folder / CONFIG_FILE).is_file():
        inner = sorted(str(path.parent) for path in folder.glob(f"*/{CONFIG_FILE}"))
        hint = f"; it holds several, give one of them: {', '.join(inner)}" if inner else "; give one of copl train"
        raise ConfigError(f"{folder} is no work dir: it has no {CONFIG_FILE}{hint}")
    config = load_config(folder / CONFIG_FILE, options)
    if config.problems:
        raise ConfigError("\n".join(map(str, config.problems)))
    if not isinstance(config.get("schedule"), Mapping) or type(config["schedule"].get("epochs")) is not int:
        raise ConfigError(f"{folder / CONFIG_FILE}: schedule.epochs is no whole number; this is no config of a run")
    header, problem = _read_export(folder / EXPORT_FOLDER)
    return Run(
        folder=folder,
        config=config,
        rows=list(_read_rows(folder / METRICS_FILE)),
        results=read_results(folder),
        starts=read_starts(folder),
        header=header,
        problem=problem,
    )


def _read_export(folder: Path) -> tuple[Header | None, str]:
    """The header, and what is wrong with it: without an export there still are curves and scores to show."""
    if not (folder / PROMPTS_FILE).exists():
        return None, ""
    try:
        return read_header(folder), ""
    except WeightsError as error:
        return None, str(error)


def _read_rows(path: Path) -> Iterator[Row]:
    if not path.exists():
        return
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}:{number}"
        row = parse_json(line, where)
        if not isinstance(row, dict) or not _is_epoch(row.get("epoch")) or not isinstance(row.get("split"), str):
            raise ConfigError(f"{where}: expected an object with epoch and split; {MOVE_AWAY}")
        prefix = f"{row['split']}/"
        numbers = {key: value for key, value in row.items() if key != "epoch" and type(value) in (int, float)}
        try:
            values = {key.removeprefix(prefix): float(value) for key, value in numbers.items()}
        except OverflowError:
            raise ConfigError(f"{where}: a number has too many digits; {MOVE_AWAY}") from None
        yield Row(row["epoch"], row["split"], values)


def _is_epoch(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST_EPOCHS
