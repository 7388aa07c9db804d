"""The top level of a config: what an experiment consists of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from copl_core.api import ConfigError
from copl_core.config.values import Problem, ValueReader, join, show
from copl_core.plugins.suggest import did_you_mean, listing

if TYPE_CHECKING:
    from copl_core.registry import Registry

Protocol = Literal["standard", "paper_compat"]
#: In place of an audio encoder: the visual one serves both modalities.
SHARED = "shared"

_TOP = ("encoders", "tuner", "task", "schedule", "seed", "protocol")
#: NumPy's seeds, to which every other one is tied, have 32 bits.
_MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Clips a step, on one device.
        prompt_lr: Learning rate of the tuner's parameters.
        head_lr: Learning rate of the task head.
        optimizer: Adam, or AdamW with its decoupled weight decay.
        weight_decay: Weight decay of both groups.
        lr_schedule: Course of the learning rates after the warm-up.
        warmup_epochs: Epochs in which they rise linearly from 0.
        val_interval: Epochs between two validations.
        workers: Processes that load data; 0 loads in the training process.
        eval_batch_size: Clips a step in validation and test; ``batch_size`` if None.
    """

    epochs: int
    batch_size: int
    prompt_lr: float
    head_lr: float
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    lr_schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: int = 0
    val_interval: int = 1
    workers: int = 2
    eval_batch_size: int | None = None


#: Smallest values; the learning rates must lie above theirs.
_AT_LEAST = {
    "epochs": 1,
    "batch_size": 1,
    "weight_decay": 0,
    "warmup_epochs": 0,
    "val_interval": 1,
    "workers": 0,
    "eval_batch_size": 1,
}
_ABOVE = {"prompt_lr": 0, "head_lr": 0}


@dataclass(frozen=True)
class Experiment:
    """A checked config.

    Attributes:
        visual: Block of the visual encoder.
        audio: Block of the audio encoder; None if the visual one is shared.
        tuner: Block of the tuner.
        task: Block of the task.
        schedule: How to train.
        seed: Seed of everything random.
        protocol: ``paper_compat`` repeats known quirks of the paper's measurement.
        source: The whole config it was made from.
    """

    visual: dict[str, Any]
    audio: dict[str, Any] | None
    tuner: dict[str, Any]
    task: dict[str, Any]
    schedule: Schedule
    seed: int
    protocol: Protocol
    source: dict[str, Any]


def check_config(config: Mapping[str, Any], registry: "Registry", source_name: str) -> Experiment:
    """Check a whole config, its components included, without building anything.

    Args:
        config: A config as ``load_config`` returns it.
        registry: Where components are looked up.
        source_name: The file it came from, for messages.

    Raises:
        ConfigError: Something is wrong; begins with the file and lists every problem, one a line.
    """
    reader = ValueReader()
    for key in config:
        if key not in _TOP:
            reader.fail(key, f"unknown key{did_you_mean(key, _TOP) or f'; known: {listing(_TOP)}'}")
    encoders = _check_encoders(config.get("encoders"), reader, registry)
    for kind in ("tuner", "task"):
        if config.get(kind) is None:
            reader.fail(kind, f"required: the {kind} and its arguments")
        else:
            reader.problems += registry.problems(kind, config[kind], kind)
    schedule = _check_schedule(config.get("schedule"), reader)
    seed = reader.read(config.get("seed", 0), int, "seed")
    if seed is not None and not 0 <= seed <= _MAX_SEED:
        reader.fail("seed", f"must be in 0..{_MAX_SEED}, got {seed}")
    protocol = reader.read(config.get("protocol", "standard"), Protocol, "protocol")
    if reader.problems:
        raise ConfigError(report(reader.problems, source_name))
    assert schedule is not None
    audio = encoders["audio"]
    return Experiment(
        visual=encoders["visual"],
        audio=None if audio == SHARED else audio,
        tuner=config["tuner"],
        task=config["task"],
        schedule=schedule,
        seed=seed,
        protocol=protocol,
        source=dict(config),
    )


def report(problems: list[Problem], source_name: str) -> str:
    """Return the file and its problems, one a line."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{source_name}: {count}", *(f"  {problem}" for problem in problems)])


def _check_encoders(encoders: Any, reader: ValueReader, registry: "Registry") -> dict[str, Any]:
    known = ("visual", "audio")
    if not isinstance(encoders, Mapping):
        reader.fail("encoders", f"required: an encoder each under 'visual' and 'audio', got {show(encoders)}")
        return {}
    for key in encoders:
        if key not in known:
            reader.fail(join("encoders", key), f"unknown key{did_you_mean(key, known) or f'; known: {listing(known)}'}")
    for key in known:
        path, block = join("encoders", key), encoders.get(key)
        shared = f", or {SHARED!r} for the visual one" if key == "audio" else ""
        if block is None:
            reader.fail(path, f"required: a backbone{shared}")
        elif isinstance(block, str) and shared:
            if block != SHARED:
                reader.fail(path, f"expected a backbone{shared}, got {show(block)}")
        else:
            reader.problems += registry.problems("backbone", block, path)
    return dict(encoders)


def _check_schedule(schedule: Any, reader: ValueReader) -> Schedule | None:
    if schedule is None:
        required = ", ".join(field.name for field in fields(Schedule)[:4])
        reader.fail("schedule", f"required: at least {required}")
        return None
    result: Schedule | None = reader.read(schedule, Schedule, "schedule")
    if isinstance(schedule, Mapping):
        _check_ranges(schedule, reader)
    return result


def _check_ranges(schedule: Mapping[str, Any], reader: ValueReader) -> None:
    """Check the numbers among the values; those of a wrong type have been told already."""
    numbers = {key: value for key, value in schedule.items() if type(value) in (int, float)}
    for key, value in numbers.items():
        path = join("schedule", key)
        if not math.isfinite(value):
            reader.fail(path, f"must be finite, got {value}")
        elif key in _AT_LEAST and value < _AT_LEAST[key]:
            reader.fail(path, f"must be at least {_AT_LEAST[key]}, got {value}")
        elif key in _ABOVE and value <= _ABOVE[key]:
            reader.fail(path, f"must be above {_ABOVE[key]}, got {value}")
    warmup, epochs = numbers.get("warmup_epochs", 0), numbers.get("epochs", math.inf)
    if warmup > 0 and warmup >= epochs:
        reader.fail("schedule.warmup_epochs", f"must be less than epochs ({epochs}), got {warmup}")
