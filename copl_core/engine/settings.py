"""What decides what a run learns, in a form that neither a machine nor the way a config is written changes."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from copl_core.config import Experiment
from copl_core.config.explain import leaves
from copl_core.config.schema import FREE
from copl_core.engine.build import encoder_blocks
from copl_core.registry import Registry


def run_settings(experiment: Experiment, registry: Registry) -> dict[str, Any]:
    """Every setting of a run that changes what it learns, by its path in the config.

    Defaults are filled in, so that writing one is no difference and a changed one is. What is a matter of the machine
    is left out or shortened: the data set's root, the encoders' weights, which their fingerprints cover, and the
    folders of other files.

    Args:
        experiment: The checked config.
        registry: Knows the arguments of its components.
    """
    schedule = {key: value for key, value in vars(experiment.schedule).items() if key not in FREE}
    settings = {
        **_model(experiment, registry),
        "schedule": schedule,
        "compute": dataclasses.asdict(experiment.compute),
        "seed": experiment.seed,
        "protocol": experiment.protocol,
    }
    return dict(leaves(settings))


def _model(experiment: Experiment, registry: Registry) -> dict[str, Any]:
    blocks = encoder_blocks(experiment.visual, experiment.audio)
    made = registry.factories({**blocks, "tuner": ("tuner", experiment.tuner), "task": ("task", experiment.task)})
    complete = {path: factory.complete() for path, factory in made.items()}
    for path in blocks:
        complete[path].pop("weights", None)
    return portable(complete, experiment.places)


def portable(model: dict[str, Any], places: Sequence[str]) -> dict[str, Any]:
    """The model part of a config without this machine's paths.

    Args:
        model: Blocks by path.
        places: Paths of what says where data lie, which is left out; of other files only the name stays.
    """
    model = copy.deepcopy(model)
    for place in places:
        *parents, last = place.split(".")
        block: Any = model
        for key in parents:
            block = block[int(key)] if isinstance(block, list) else block[key]
        block.pop(last, None)
    shortened: dict[str, Any] = without_folders(model)
    return shortened


def without_folders(value: Any) -> Any:
    """Shorten every string that is a path on this machine to its last part."""
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    if isinstance(value, str) and "/" in value and Path(value).expanduser().exists():
        return Path(value).name
    return value


def differences(saved: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, str]:
    """By path, how the settings of two runs differ, for a message."""
    return {
        path: f"{path} ({_tell(saved, path)}, now {_tell(present, path)})"
        for path in sorted({*saved, *present})
        if path not in saved or path not in present or saved[path] != present[path]
    }


def _tell(settings: Mapping[str, Any], path: str) -> str:
    return repr(settings[path]) if path in settings else "not there"
