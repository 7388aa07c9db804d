"""The same experiment with several seeds, and its scores on average."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from copl_core.api import ConfigError
from copl_core.atomic import write_text
from copl_core.config import Experiment, load_config
from copl_core.config.schema import MAX_SEED
from copl_core.engine.distributed import gather, rank, together
from copl_core.engine.resume import RESUME_FILE
from copl_core.engine.train import CONFIG_FILE
from copl_core.results import RESULTS_FILE, Spread, read_results

SEEDS_FILE = "seeds.json"

#: Trains one experiment in a work dir, which may hold the beginning of it, and returns its test scores.
TrainOne = Callable[[Experiment, Path], Mapping[str, float]]


def train_seeds(
    experiment: Experiment,
    seeds: Sequence[int],
    train_one: TrainOne,
    *,
    work_dir: Path,
    resume: bool,
    console: Console,
) -> dict[str, Spread]:
    """Train an experiment once with each seed, in ``seed-<n>`` below the work dir; finished runs are kept.

    Each is the very run that ``--seed <n>`` gives. ``seeds.json`` and a table say the test scores.

    Args:
        experiment: The checked config; its own seed has no meaning here.
        seeds: Each once.
        train_one: Trains one of them; with several ranks, every one of them calls it.
        work_dir: Of all.
        resume: Go on with what the work dir holds.
        console: Where the table goes.

    Returns:
        The test scores by name.

    Raises:
        ConfigError: A folder already holds a run, and it isn't to be resumed.
        CoplError: As in training.
    """
    folders = {seed: work_dir / f"seed-{seed}" for seed in seeds}
    together(lambda: _check(seeds, [] if resume else list(folders.values())))
    scores: dict[int, Mapping[str, float]] = {}
    for seed, folder in folders.items():
        run = dataclasses.replace(experiment, seed=seed, source={**experiment.source, "seed": seed})
        # Rank 0 decides for all: another machine may not see its files.
        finished = gather(together(partial(_finished, run, folder)))[0]
        console.print(f"seed {seed}: {folder}{' is finished' if finished else ''}")
        scores[seed] = _start(run, folder, train_one) if finished is None else finished
    result = {name: Spread(tuple(each[name] for each in scores.values())) for name in next(iter(scores.values()))}
    if rank() == 0:
        write_text(work_dir / SEEDS_FILE, json.dumps(_as_json(experiment.protocol, seeds, result), indent=2) + "\n")
    _show(console, experiment.protocol, seeds, result)
    return result


def _check(seeds: Sequence[int], free: Sequence[Path]) -> None:
    """Refuse seeds that aren't any, and a run in a folder that should be free."""
    wrong = [seed for seed in seeds if not 0 <= seed <= MAX_SEED]
    if wrong or not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds: expected different seeds in 0..{MAX_SEED}, got {', '.join(map(str, seeds))}")
    taken = [str(folder) for folder in free if (folder / RESUME_FILE).exists()]
    if taken:
        raise ConfigError(
            f"{' and '.join(taken)} already hold a run; add --resume to continue, or choose another --work-dir"
        )


def _finished(experiment: Experiment, folder: Path) -> Mapping[str, float] | None:
    """The scores of a finished run of the same config."""
    if rank() > 0:
        return None
    if not (folder / RESULTS_FILE).exists() or load_config(folder / CONFIG_FILE) != experiment.source:
        return None
    results = read_results(folder)
    return results.test if results else None


def _start(experiment: Experiment, folder: Path, train_one: TrainOne) -> Mapping[str, float]:
    # Results of a shorter run must not be taken for those of this one, should it be killed.
    if rank() == 0:
        (folder / RESULTS_FILE).unlink(missing_ok=True)
    return train_one(experiment, folder)


def _as_json(protocol: str, seeds: Sequence[int], scores: Mapping[str, Spread]) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "seeds": list(seeds),
        "test": {name: {"mean": s.mean, "std": s.std, "values": list(s.values)} for name, s in scores.items()},
    }


def _show(console: Console, protocol: str, seeds: Sequence[int], scores: Mapping[str, Spread]) -> None:
    mark = "" if protocol == "standard" else f", protocol {protocol}"
    table = Table("test" + mark, "mean +- std", *(f"seed {seed}" for seed in seeds), box=None)
    for name, spread in scores.items():
        table.add_row(name, f"{spread:.4f}", *(f"{value:.4f}" for value in spread.values))
    console.print(table)
