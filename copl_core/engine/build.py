"""From a checked experiment to built objects, in the order in which problems are cheapest to find."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from copl_core.checkpoint import fingerprint
from copl_core.config import Experiment
from copl_core.contracts import Backbone, Dataset, Task
from copl_core.model import TwoStream, input_specs
from copl_core.plugins import Component
from copl_core.registry import ComponentFactory, Registry


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
        DataError: The data set is missing or incomplete, or does not fit the head.
        WeightsError: Encoder weights are missing or don't fit.
    """
    make = registry.factories(
        {
            "task": ("task", experiment.task),
            "tuner": ("tuner", experiment.tuner),
            **encoder_blocks(experiment.visual, experiment.audio),
        },
        experiment.origins,
    )

    task: Task = make["task"]()
    datasets: dict[str, Dataset] = {split: task.dataset(split=split) for split in splits}
    task.check(datasets)

    visual, audio = make_encoders(make, experiment.seed)
    image, sound = input_specs(visual, audio)
    for dataset in datasets.values():
        dataset.bind(image, sound)
    encoders = load_encoders(visual, audio)

    seed_everything(experiment.seed)
    model = TwoStream(
        visual=visual,
        audio=audio,
        tuner=make["tuner"],
        head=task.head,
        frames=task.frames,
        names=next(iter(datasets.values())).names,
        compute=experiment.compute,
    )
    task.check(datasets, model.head)
    providers = {path: part for factory in make.values() for path, part in factory.components().items()}
    return Session(experiment, task, datasets, model, encoders, providers)


def encoder_blocks(visual: Mapping[str, Any], audio: Mapping[str, Any] | None) -> dict[str, tuple[str, Any]]:
    """Blocks of the encoders as ``Registry.factories`` takes them; no audio encoder where the visual one is shared."""
    blocks = {"encoders.visual": visual, "encoders.audio": audio}
    return {path: ("backbone", block) for path, block in blocks.items() if block is not None}


def make_encoders(make: Mapping[str, ComponentFactory], seed: int) -> tuple[Backbone, Backbone | None]:
    """Build the encoders without their pretrained weights; no audio encoder where the visual one is shared.

    What no weights are loaded for is random by the seed of the run, so that its prompts find the same encoder again.
    """
    seed_everything(seed)
    audio = make.get("encoders.audio")
    return make["encoders.visual"](), None if audio is None else audio()


def load_encoders(visual: Backbone, audio: Backbone | None) -> dict[str, Any]:
    """Load the encoders' pretrained weights.

    Returns:
        Identity and fingerprint of each, by role.

    Raises:
        WeightsError: Weights are missing or don't fit.
    """
    encoders: dict[str, Any] = {}
    for role, encoder in (("visual", visual), ("audio", audio)):
        if encoder is not None:
            encoder.load_pretrained()
            encoders[role] = {"identity": encoder.identity(), "fingerprint": fingerprint(encoder)}
    return encoders


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
