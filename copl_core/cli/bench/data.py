"""copl bench data: clips a second and milliseconds by stage, from raw videos, extracted files and a cache."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from copl_core.cli.common import add_config_options, load_experiment

if TYPE_CHECKING:
    from copl_core.bench import DataRow


def add_parser(actions: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = actions.add_parser(
        "data", help="clips a second of a config's data, by form and stage", description=__doc__
    )
    add_config_options(parser)
    parser.add_argument("--split", default="train", help="which clips (default train)")
    parser.add_argument("--clips", type=int, default=32, help="how many, spread over the split (default 32)")
    parser.add_argument("--workers", type=int, help="processes of the loader (default: the config's)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    from rich.console import Console

    from copl_core.api import ConfigError
    from copl_core.bench import build_dataset, measure_data

    experiment, registry = load_experiment(options)
    workers = experiment.schedule.workers if options.workers is None else options.workers
    if options.clips < 1 or workers < 0:
        raise ConfigError(f"--clips must be at least 1 and --workers at least 0, got {options.clips} and {workers}")
    with Console(stderr=True).status("reading the lists") as status:
        dataset, frames = build_dataset(experiment, registry, options.split)
        rows = []
        status.update("reading the clips")
        for row in measure_data(
            dataset,
            frames=frames,
            clips=options.clips,
            batch_size=experiment.schedule.batch_size,
            workers=workers,
            seed=experiment.seed,
        ):
            rows.append(row)
            status.update(f"{row.form} is measured; making the next form")
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        _print_table(rows, workers, len(dataset))
    return 0


def _print_table(rows: "list[DataRow]", workers: int, size: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("form", "clips/s", "all", *rows[0].wall_ms, "MB a clip")
    for row in rows:
        table.add_row(
            f"{row.form} (made)" if row.made else row.form,
            f"{row.clips_per_s:.1f}",
            _milliseconds(sum(row.wall_ms.values()), sum(row.cpu_ms.values())),
            *(_milliseconds(row.wall_ms[stage], row.cpu_ms[stage]) for stage in row.wall_ms),
            "" if row.bytes_per_clip is None else f"{row.bytes_per_clip / 1e6:.3f}",
        )
    console = Console()
    # Piped output has no width of its own; the figures must not be cut.
    console = console if console.is_terminal else Console(width=160)
    console.print(table)
    console.print(
        f"clips/s with {workers} workers; stages in ms a clip in one process, wall / CPU; {size:,} samples in the split"
    )


def _milliseconds(wall: float, cpu: float) -> str:
    return f"{wall:.1f} / {cpu:.1f}"
