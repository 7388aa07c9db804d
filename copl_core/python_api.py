"""The Python API: what ``import copl_core`` offers. Each name is imported from here on first use (torch with it)."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from rich.console import Console

from copl_core.api import ConfigError
from copl_core.config import Experiment, check_config
from copl_core.config import load_config as read_config
from copl_core.engine import Session, build_session
from copl_core.engine import test as test_export
from copl_core.engine import train as train_experiment
from copl_core.engine.predict import TrainedModel, load
from copl_core.engine.runner import pick_device
from copl_core.engine.snapshot import EXTENSIONS, Extend
from copl_core.engine.train import TrainResult
from copl_core.plugins import get_table
from copl_core.registry import Registry

__all__ = ["Experiment", "Session", "TrainResult", "TrainedModel", "build", "evaluate", "load", "load_config", "train"]


def load_config(path: str | PathLike[str], options: Sequence[str] = ()) -> Experiment:
    """Read a config and check all of it, building nothing.

    Args:
        path: A .py or .yaml config.
        options: Changes as on the command line, ``schedule.epochs=3`` and the like.

    Raises:
        ConfigError: Lists everything that is wrong.
    """
    return check_config(read_config(path, options), Registry(get_table()), str(path))


def build(experiment: Experiment, splits: Sequence[str] = ("train",)) -> Session:
    """Build what an experiment consists of: frozen encoders with tuner and head as one model, and the data sets.

    Args:
        experiment: A checked config.
        splits: Of the data set, one at least: it says which classes the head tells apart.

    Returns:
        A session: its ``model`` is a ``torch.nn.Module`` on the CPU, its ``datasets`` go by split.

    Raises:
        CoplError: Data or encoder weights are missing or don't fit.
    """
    return build_session(experiment, Registry(get_table()), splits)


def train(
    experiment: Experiment,
    work_dir: str | PathLike[str],
    *,
    device: str = "auto",
    resume: bool = False,
    extend: Extend | None = None,
    quiet: bool = False,
) -> TrainResult:
    """Train, select on the validation split, export, test once: what ``copl train`` does.

    Args:
        experiment: A checked config.
        work_dir: Receives everything that is written.
        device: ``auto``, ``cpu`` or ``cuda``.
        resume: Continue the run in ``work_dir``, if there is one.
        extend: How the learning rates go on if the config has more epochs than the run that is resumed: ``stretch``, as
            if planned so from the start, or ``restart``, once more from the start over what is left.
        quiet: Print no progress.

    Returns:
        The folder of the export, the selected epoch and its test scores.

    Raises:
        CoplError: Config, data, weights or work dir can't be used, or the run can't go on.
    """
    if extend not in (None, *EXTENSIONS):
        raise ConfigError(f"extend: expected {' or '.join(map(repr, EXTENSIONS))}, got {extend!r}")
    return train_experiment(
        experiment,
        Registry(get_table()),
        work_dir=Path(work_dir),
        device=pick_device(device),
        resume=resume,
        extend=extend,
        console=Console(soft_wrap=True, highlight=False, quiet=quiet),
    )


def evaluate(
    experiment: Experiment, prompts: str | PathLike[str], *, split: str = "test", device: str = "auto"
) -> dict[str, float]:
    """Score exported prompts on a split: what ``copl test`` does.

    Args:
        experiment: The checked config that they were trained with.
        prompts: The export folder or its prompts file.
        split: ``train``, ``val`` or ``test``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        CoplError: Config, data, weights and files can't be used together.
    """
    registry = Registry(get_table())
    return test_export(experiment, registry, prompts=Path(prompts), split=split, device=pick_device(device)).scores
