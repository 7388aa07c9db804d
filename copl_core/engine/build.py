"""From a checked experiment to built objects, in the order in which problems are cheapest to find."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from copl_core.api import ConfigError
from copl_core.checkpoint import fingerprint
from copl_core.config import Experiment
from copl_core.contracts import Backbone, Dataset, Task
from copl_core.model import TwoStream
from copl_core.plugins import Component
from copl_core.registry import Registry


@dataclass(frozen=True)
class Session:
    """Everything a run is made of.

    Attributes:
        experiment: The checked config.
        task: The task.
        datasets: By split, bound to what the encoders eat.
        model: Encoders, tuner and head, on the CPU.
        encoders: Identity and fingerprint of each encoder, by role.
        components: Provider of every component, by its path in the config.
    """

    experiment: Experiment
    task: Task
    datasets: Mapping[str, Dataset]
    model: TwoStream
    encoders: Mapping[str, Any]
    components: Mapping[str, Component]


def build_session(experiment: Experiment, registry: Registry, splits: Sequence[str]) -> Session:
    """Build task, data sets, encoders, tuner and head.

    The data sets come first: they check their files, which is quick, before any encoder is loaded.

    Raises:
        ConfigError: A component refuses its arguments, or an encoder can't take the role it was given.
        DataError: The data set is missing or incomplete.
        WeightsError: Encoder weights are missing or don't fit.
    """
    blocks = {"task": ("task", experiment.task), "tuner": ("tuner", experiment.tuner)}
    blocks["encoders.visual"] = ("backbone", experiment.visual)
    if experiment.audio is not None:
        blocks["encoders.audio"] = ("backbone", experiment.audio)
    make = {path: registry.factory(kind, block, path=path) for path, (kind, block) in blocks.items()}

    task: Task = make["task"]()
    datasets: dict[str, Dataset] = {split: task.dataset(split=split) for split in splits}

    visual: Backbone = make["encoders.visual"]()
    audio: Backbone | None = make["encoders.audio"]() if "encoders.audio" in make else None
    image, spectrogram = visual.input_spec.image, (audio or visual).input_spec.audio
    if image is None:
        raise ConfigError(f"encoders.visual: {type(visual).__name__} takes no images; choose a visual backbone")
    if spectrogram is None:
        raise ConfigError(f"encoders.audio: {type(audio or visual).__name__} takes no sound; choose an audio backbone")
    for dataset in datasets.values():
        dataset.bind(image, spectrogram)
    encoders: dict[str, Any] = {}
    for role, encoder in (("visual", visual), ("audio", audio)):
        if encoder is not None:
            encoder.load_pretrained()
            encoders[role] = {"identity": encoder.identity(), "fingerprint": fingerprint(encoder)}

    seed_everything(experiment.seed)
    model = TwoStream(
        visual=visual,
        audio=audio,
        tuner=make["tuner"],
        head=task.head,
        frames=task.frames,
    )
    providers = {path: part for factory in make.values() for path, part in factory.components().items()}
    return Session(experiment, task, datasets, model, encoders, providers)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
