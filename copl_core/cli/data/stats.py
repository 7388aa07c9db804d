"""copl data stats: mean and standard deviation of the spectrograms on the train split, as YAML to paste.

Both are averages over segments of each segment's own, as LAVISH has them. Padding does not count. Needs no weights
of the encoders.
"""

import argparse
import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from copl_core.cli.common import add_config_options, load_experiment
from copl_core.cli.data.common import add_workers_option, progress_bar

if TYPE_CHECKING:
    from copl_core.config import Experiment
    from copl_core.contracts import Dataset
    from copl_core.registry import Registry


def add_parser(actions: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = actions.add_parser("stats", help="mean and std of the spectrograms", description=__doc__)
    add_config_options(parser)
    parser.add_argument("--samples", type=int, metavar="N", help="so many, spread evenly over the split (default: all)")
    add_workers_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    from copl_core.api import ConfigError
    from copl_core.config.strict_yaml import dump_yaml
    from copl_core.data.statistics import spectrogram_statistics

    if options.samples is not None and options.samples < 1:
        raise ConfigError(f"--samples must be at least 1, got {options.samples}")
    experiment, registry = load_experiment(options)
    dataset = _train_split(experiment, registry)
    with progress_bar() as progress:
        bar = progress.add_task("spectrograms", total=None)
        found = spectrogram_statistics(
            dataset,
            samples=options.samples,
            workers=options.workers,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    audio = {**experiment.task["dataset"]["audio"], "mean": round(found.mean, 4), "std": round(found.std, 4)}
    print(f"# of {found.samples} training samples")
    print(dump_yaml({"task": {"dataset": {"audio": audio}}}), end="")
    return 0


def _train_split(experiment: "Experiment", registry: "Registry") -> "Dataset":
    """The train split, its spectrograms not normalised, bound to the config's encoders without their weights."""
    from copl_core.api import ConfigError
    from copl_core.bench import build_dataset
    from copl_core.contracts import SpectrogramSpec

    task = copy.deepcopy(experiment.task)
    if not isinstance(task["dataset"].get("audio"), dict):
        raise ConfigError(
            f"task.dataset: {task['dataset']['type']} has no audio recipe, so there is nothing to measure"
        )
    task["dataset"]["audio"].update(mean=0.0, std=0.5)
    dataset, _ = build_dataset(replace(experiment, task=task), registry, "train")
    if not isinstance(dataset.specs[1], SpectrogramSpec):
        raise ConfigError(
            "the audio encoder hears waveforms and makes its own spectrograms: mean and std have no effect"
        )
    return dataset
