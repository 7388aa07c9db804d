"""How many parameters a model has, in the words of the field's tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from copl_core.config import ModelBlocks
from copl_core.contracts import Backbone, Factory, Head, Names, Task
from copl_core.model.roles import input_specs
from copl_core.model.two_stream import TwoStream
from copl_core.registry import Registry


@dataclass(frozen=True)
class Counts:
    """Parameters of a model.

    Attributes:
        frames: T, on which the size of a tuner may depend.
        additional: Attached to the encoders' blocks.
        other: Trained in the tuner besides, such as the projection of a loss; the tables leave them out of
            "additional".
        head: The task's head; None without a task.
        frozen: The encoders, a shared one once.
        unbuilt: What the published encoders have beyond those built here: classifiers, front ends.
    """

    frames: int
    additional: int
    other: int
    head: int | None
    frozen: int
    unbuilt: int

    @property
    def total_used(self) -> int:
        """All parameters of the model."""
        return self.frozen + self.additional + self.other + (self.head or 0)

    @property
    def total_as_published(self) -> int:
        """The total as the field's tables count it: with what nobody runs of the published encoders."""
        return self.total_used + self.unbuilt


def count_parameters(blocks: ModelBlocks, registry: Registry, *, frames: int, names: Names | None = None) -> Counts:
    """Count the parameters of the model that a config describes, without weights and without memory for them.

    Args:
        blocks: The checked blocks.
        registry: Resolves their components.
        frames: T where there is no task to say it.
        names: What the data set has told the head, as an export holds it; its numbers may depend on how many there are.

    Raises:
        ConfigError: A component refuses its arguments.
    """
    parts: dict[str, tuple[str, Any]] = {
        "task": ("task", blocks.task),
        "encoders.visual": ("backbone", blocks.visual),
        "encoders.audio": ("backbone", blocks.audio),
        "tuner": ("tuner", blocks.tuner),
    }
    # Before the meta device is the default: what is imported there for the first time would have its constants on it.
    make = registry.factories({path: part for path, part in parts.items() if part[1] is not None})
    # Parameters on the meta device have shapes, and nothing else.
    with torch.device("meta"):
        task: Task | None = make["task"]() if "task" in make else None
        visual: Backbone = make["encoders.visual"]()
        audio: Backbone | None = make["encoders.audio"]() if "encoders.audio" in make else None
        input_specs(visual, audio)
        model = TwoStream(
            visual=visual,
            audio=audio,
            tuner=make["tuner"],
            # Identity takes any arguments and has no parameters.
            head=task.head if task else cast(Factory[Head], nn.Identity),
            frames=task.frames if task else frames,
            names=names,
        )
    additional = {parameter for _, parameter in model.additional_parameters()}
    encoders = [encoder for encoder in (visual, audio) if encoder is not None]
    return Counts(
        frames=model.frames,
        additional=_size(additional),
        other=_size(set(model.tuner.parameters()) - additional),
        head=_size(model.head.parameters()) if task else None,
        frozen=_size(set(model.encoders.parameters()) - additional),
        unbuilt=sum(map(_unbuilt, encoders)),
    )


def _unbuilt(encoder: Backbone) -> int:
    """What the published encoder has beyond this one; 0 if it isn't published."""
    published = encoder.published_parameters
    return 0 if published is None else published - _size(encoder.parameters())


def _size(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
