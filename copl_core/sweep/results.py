"""The table of a study: CSV for programs, Markdown for people, a plot."""

import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copl_core
from copl_core.api import ConfigError
from copl_core.atomic import write_atomically, write_text
from copl_core.plugins.suggest import did_you_mean
from copl_core.results import Spread, read_cost, read_starts
from copl_core.sweep.runs import Run
from copl_core.sweep.study import Study

CSV_FILE, MARKDOWN_FILE, PLOT_FILE = "results.csv", "results.md", "results.png"

Record = dict[str, Any]
#: Columns of a record that are no measurements.
NAMES = ("row", "seed", "commit")
#: A column's values by row and seed, of finished runs that have it.
Values = dict[str, dict[int, float]]


@dataclass(frozen=True)
class Table:
    """Scores of the finished runs.

    Attributes:
        score: The column of ``results.csv`` that is compared.
        rows: Its values.
        others: Values of the columns shown beside it.
        finished: How many runs each row has finished.
        planned: How many runs each row has.
        commits: Of the program in the finished runs, as far as they are known.
    """

    score: str
    rows: Values
    others: Mapping[str, Values]
    finished: Mapping[str, int]
    planned: Mapping[str, int]
    commits: Sequence[str] = ()

    def markdown(self) -> str:
        """Mean and sample standard deviation (n - 1), and each seed's value."""
        heads = ["", f"{self.score}, mean ± std", *self.others, "by seed"]
        lines = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|---" * len(heads) + "|"]
        for name, values in self.rows.items():
            others = [_mean(list(each[name].values())) or "-" for each in self.others.values()]
            lines.append(f"| {' | '.join([name, self._cell(name), *others, _by_seed(values)])} |")
        return "\n".join(lines) + "\n"

    def _cell(self, name: str) -> str:
        finished, planned = self.finished[name], self.planned[name]
        if not finished:
            return "none finished"
        text = _mean(list(self.rows[name].values())) or "has no such score"
        return text + (f" ({planned - finished} of {planned} runs missing)" if finished < planned else "")


def read_records(runs: Sequence[Run]) -> tuple[list[Record], list[str]]:
    """Read what the runs left.

    Returns:
        For each finished run a record of everything: ``row``, ``seed``, ``commit`` where it is known, ``epoch``,
        ``val ...``, ``test ...`` and what ``cost.json`` measured; and what is wrong with runs that can't be read.
    """
    records: list[Record] = []
    problems: list[str] = []
    for run in runs:
        try:
            results, cost, starts = run.results(), read_cost(run.folder), read_starts(run.folder)
        except ConfigError as error:
            problems.append(f"{run.row}, seed {run.seed}: {error}")
            continue
        if results is not None:
            selected = {f"{results.selected_on} {name}": value for name, value in results.selected.items()}
            tested = {f"test {name}": value for name, value in results.test.items()}
            run_of: Record = {"row": run.row, "seed": run.seed}
            if starts and starts[-1].commit:
                run_of["commit"] = starts[-1].commit
            measured = cost.measures() if cost else {}
            records.append({**run_of, "epoch": results.epoch, **selected, **tested, **measured})
    return records, problems


def make_table(study: Study, runs: Sequence[Run], records: Sequence[Record]) -> Table:
    """The study's score, and the columns beside it.

    Raises:
        ConfigError: Runs are finished, and none has the score or a column.
    """
    score = _column(study.score, "score", records)
    finished = [record["row"] for record in records]
    rows = list(dict.fromkeys(run.row for run in runs))
    planned = [run.row for run in runs]
    return Table(
        score=score,
        rows=_values(score, rows, records),
        others={
            column: _values(column, rows, records)
            for column in (_column(name, "columns", records) for name in study.columns)
        },
        finished={row: finished.count(row) for row in rows},
        planned={row: planned.count(row) for row in rows},
        commits=list(dict.fromkeys(record["commit"] for record in records if "commit" in record)),
    )


def write_records(records: Sequence[Record], folder: Path) -> Path:
    """Write ``results.csv``: one line a finished run."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or ["row", "seed"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_text(folder / CSV_FILE, text.getvalue())
    return folder / CSV_FILE


def write_table(study: Study, table: Table, folder: Path, title: str) -> list[Path]:
    """Write ``results.md`` and, where matplotlib is installed, ``results.png``.

    Returns:
        The files written.
    """
    commits = f" at {', '.join(map(_short, table.commits))}" if table.commits else ""
    runs = sum(table.finished.values())
    note = f"{runs} runs, copl {copl_core.__version__}{commits}, {datetime.date.today()}."
    write_text(folder / MARKDOWN_FILE, f"# {title}\n\n{table.markdown()}\n{note}\n")
    written = [folder / MARKDOWN_FILE]
    shown = sum(map(bool, table.rows.values()))
    if shown:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return written
        curve = _is_curve(study)
        figure = Figure(figsize=(6.4, 3.6 if curve else max(3.6, 0.35 * shown + 1)), layout="constrained")
        _draw(figure.add_subplot(), study, table, curve)
        write_atomically(folder / PLOT_FILE, lambda path: figure.savefig(path, dpi=150, format="png"))
        written.append(folder / PLOT_FILE)
    return written


def _column(name: str | None, key: str, records: Sequence[Record]) -> str:
    """The column that a study names: a test score by its plain name, or any column as it is."""
    columns = [column for column in dict.fromkeys(key for record in records for key in record) if column not in NAMES]
    if name is None:
        return next((column for column in columns if column.startswith("test ")), "test score")
    if f"test {name}" in columns or not columns:
        return f"test {name}"
    if name not in columns:
        plain = [column.removeprefix("test ") for column in columns]
        raise ConfigError(
            f"{key}: no finished run has {name!r}{did_you_mean(name, plain)} (they have {', '.join(columns)}). "
            "Correct the study, and --table-only writes its table"
        )
    return name


def _values(column: str, rows: Sequence[str], records: Sequence[Record]) -> Values:
    return {
        row: {record["seed"]: record[column] for record in records if record["row"] == row and column in record}
        for row in rows
    }


def _short(commit: str) -> str:
    """As git abbreviates it, and whether there were changes."""
    name, plus, changes = commit.partition("+")
    return name[:7] + plus + changes


def _is_curve(study: Study) -> bool:
    """Whether the rows are numbers on one axis."""
    (values,) = study.grid.values() if len(study.grid) == 1 else [()]
    return len(values) > 1 and all(type(value) in (int, float) for value in values)


def _draw(axes: Any, study: Study, table: Table, curve: bool) -> None:
    """A curve over a grid of one numeric axis, else a bar for each row.

    Error bars are one standard deviation, points are the seeds. A curve's points are evenly apart: a prompt length is
    doubled, a weight multiplied by ten.
    """
    rows = {name: Spread(tuple(values.values())) for name, values in table.rows.items() if values}
    means = [spread.mean for spread in rows.values()]
    spreads = [spread.std or 0.0 for spread in rows.values()]
    places = range(len(rows))
    dots = {"marker": "o", "linestyle": "", "color": "black", "markersize": 3, "zorder": 3}
    if curve:
        axes.errorbar(places, means, yerr=spreads, marker="o", capsize=4, color="tab:blue")
        axes.set_xticks(places, [name.partition("=")[2] for name in rows])
        axes.set_xlabel(next(iter(study.labels().values())))
        axes.set_ylabel(table.score)
    else:
        axes.barh(places, means, xerr=spreads, capsize=4, color="tab:blue", alpha=0.7)
        axes.set_yticks(places, list(rows))
        axes.invert_yaxis()
        axes.set_xlabel(table.score)
    for place, spread in zip(places, rows.values(), strict=True):
        across = [place] * len(spread.values)
        axes.plot(*((across, spread.values) if curve else (spread.values, across)), **dots)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _mean(values: Sequence[float]) -> str:
    """Mean and spread; nothing if there are no values."""
    if not values:
        return ""
    if len(values) == 1 or (isinstance(values[0], int) and len(set(values)) == 1):
        return _number(values[0])
    spread = Spread(tuple(values))
    return f"{_number(spread.mean)} ± " + (f"{spread.std:.4f}" if abs(spread.mean) < 100 else f"{spread.std:,.0f}")


def _by_seed(values: Mapping[int, float]) -> str:
    return ", ".join(f"{seed}: {_number(value)}" for seed, value in values.items()) or "-"


def _number(value: float) -> str:
    """Scores with four places, counts and megabytes without."""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.4f}"
