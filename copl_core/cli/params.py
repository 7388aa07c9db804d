"""copl params: count the parameters that configs describe, beside the paper's figures. Loads no weights."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from copl_core.model.count import Counts
    from copl_core.registry import Registry

#: Lies beside the configs and says by their stems what the paper's tables say.
PAPER_FILE = "paper.yaml"


@dataclass(frozen=True)
class Published:
    """What the paper's tables say about a config.

    Attributes:
        additional: Additional parameters in millions; None where the paper has no such figure.
        total: All parameters in millions.
        note: Why ours differ.
    """

    additional: float | None = None
    total: float | None = None
    note: str = ""


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("params", help="count the parameters of configs", description=__doc__)
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="a .py or .yaml config; it needs no task")
    parser.add_argument("--frames", type=int, default=10, help="frames of a clip where no task says it (default 10)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Count and print."""
    from copl_core.api import ConfigError
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    if options.frames < 1:
        raise ConfigError(f"--frames must be at least 1, got {options.frames}")
    registry = Registry(get_table())
    rows = [(path, _count(path, registry, options.frames), read_published(Path(path))) for path in options.configs]
    if options.json:
        print(json.dumps([_as_json(*row) for row in rows], indent=2))
    else:
        _print_table(rows)
    return 0


def read_published(config: Path) -> Published:
    """Read the paper's figures for a config from the file beside it; nothing where there is no such file or entry.

    Raises:
        ConfigError: The file is malformed.
    """
    from copl_core.api import ConfigError
    from copl_core.config.schema import report
    from copl_core.config.strict_yaml import read_yaml
    from copl_core.config.values import ValueReader

    path = config.expanduser().parent / PAPER_FILE
    if not path.is_file():
        return Published()
    reader = ValueReader()
    entries: dict[str, Published] = reader.read(read_yaml(path), Mapping[str, Published], "")
    if reader.problems:
        raise ConfigError(report(reader.problems, str(path)))
    return entries.get(config.stem, Published())


def _count(path: str, registry: "Registry", frames: int) -> "Counts":
    from copl_core.config import check_model, load_config
    from copl_core.model.count import count_parameters

    return count_parameters(check_model(load_config(path), registry, path), registry, frames=frames)


def _as_json(config: str, counts: "Counts", paper: Published) -> dict[str, Any]:
    return {
        "config": config,
        "additional": counts.additional,
        "head": counts.head,
        "frozen": counts.frozen,
        "total_used": counts.total_used,
        "total_as_published": counts.total_as_published,
        "paper_additional": paper.additional,
        "paper_total": paper.total,
    }


def _print_table(rows: "Sequence[tuple[str, Counts, Published]]") -> None:
    """Print the counts in millions, and below them what explains them."""
    from rich.console import Console
    from rich.table import Table

    figures = ("additional", "in paper", "other", "head", "frozen", "total used", "as published", "in paper")
    table = Table("config", "T", title="parameters in millions", title_justify="left", box=None)
    for figure in figures:
        table.add_column(figure, justify="right")
    for config, counts, paper in rows:
        table.add_row(
            config,
            str(counts.frames) if counts.head is not None else f"{counts.frames}*",
            _millions(counts.additional),
            _published(paper.additional),
            _millions(counts.other),
            "-" if counts.head is None else _millions(counts.head),
            _millions(counts.frozen),
            _millions(counts.total_used),
            _millions(counts.total_as_published),
            _published(paper.total),
        )
    console = Console()
    # Piped output has no width of its own; the figures must not be cut.
    console = console if console.is_terminal else Console(width=160)
    console.print(table)
    print()
    if any(counts.head is None for _, counts, _ in rows):
        print("* no task: T is that of --frames, and the totals hold no head")
    for config, _, paper in rows:
        if paper.note:
            print(f"{Path(config).stem}: {paper.note}")


def _millions(count: int) -> str:
    return f"{count / 1e6:.4f}"


def _published(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.1f}"
