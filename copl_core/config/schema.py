"""The top level of a config: what an experiment consists of."""

import copy
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from copl_core.api import ConfigError
from copl_core.config.load import Config
from copl_core.config.loggers import Loggers
from copl_core.config.origins import Origin
from copl_core.config.plugins import visible
from copl_core.config.values import Problem, ValueReader, join, show
from copl_core.plugins.suggest import did_you_mean, listing

if TYPE_CHECKING:
    from copl_core.registry import Checked, Registry

Protocol = Literal["standard", "paper_compat"]
#: In place of an audio encoder: the visual one serves both modalities.
SHARED = "shared"

TOP = ("encoders", "tuner", "task", "schedule", "compute", "seed", "protocol", "loggers", "plugins")
#: NumPy's seeds, to which every other one is tied, have 32 bits.
MAX_SEED = 2**32 - 1


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
        accumulate: Batches whose gradients are added up before the optimizer steps; everything that counts steps
            counts these.
        ema: Decay of an exponential moving average of what is trained, e.g. 0.999, which is then validated and
            exported; None for the weights themselves.
        save_every: Steps between two saves of the resume state within an epoch; None saves at its end only.
        on_nonfinite: A loss or gradient that is no finite number stops the run, or its step is skipped and counted.
        on_save_error: A resume state or export that can't be written (a full disk) stops the run, or it goes on.
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
    accumulate: int = 1
    ema: float | None = None
    save_every: int | None = None
    on_nonfinite: Literal["stop", "skip"] = "stop"
    on_save_error: Literal["stop", "continue"] = "stop"


@dataclass(frozen=True)
class Compute:
    """How the numbers are computed; what is learned stays the same within the precision.

    Attributes:
        precision: Of matrix products; fp16 scales its loss and needs CUDA.
        checkpointing: Memory for time: recompute the inside of each feed-forward branch (``mlp``) or of each pair of
            blocks (``block``) in the backward pass.
        compile: Compile the encoders' blocks with torch.compile.
        deterministic: On CUDA, only algorithms that give the same bits each time, which are slower; the CPU's always
            do.
    """

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    checkpointing: Literal["none", "mlp", "block"] = "none"
    compile: bool = False
    deterministic: bool = False


#: What of the schedule may differ from the run that is resumed: none of it changes what is learned.
FREE = frozenset({"workers", "save_every", "on_nonfinite", "on_save_error"})
#: Smallest values; then bounds that a value must lie strictly above or below.
AT_LEAST = {
    "epochs": 1,
    "batch_size": 1,
    "weight_decay": 0,
    "warmup_epochs": 0,
    "val_interval": 1,
    "workers": 0,
    "eval_batch_size": 1,
    "accumulate": 1,
    "save_every": 1,
}
ABOVE = {"prompt_lr": 0, "head_lr": 0, "ema": 0}
BELOW = {"ema": 1}


@dataclass(frozen=True)
class Experiment:
    """A checked config.

    Attributes:
        visual: Block of the visual encoder.
        audio: Block of the audio encoder; None if the visual one is shared.
        tuner: Block of the tuner.
        task: Block of the task.
        schedule: How to train.
        compute: Precision and memory.
        seed: Seed of everything random.
        protocol: ``paper_compat`` repeats known quirks of the paper's measurement.
        loggers: Where its numbers go besides the work dir.
        source: The whole config it was made from. In it and in the blocks every ``type`` is a name that no later
            installation gives to another component.
        origins: Where the values were written, by path.
        places: Paths of what says where the data lie on this machine, whether it is set or not.
    """

    visual: dict[str, Any]
    audio: dict[str, Any] | None
    tuner: dict[str, Any]
    task: dict[str, Any]
    schedule: Schedule
    compute: Compute
    seed: int
    protocol: Protocol
    loggers: Loggers
    source: dict[str, Any]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    places: Sequence[str] = ()


@dataclass(frozen=True)
class ModelBlocks:
    """The checked blocks of a config that a model is built from.

    Attributes:
        visual: Block of the visual encoder.
        audio: Block of the audio encoder; None if the visual one is shared.
        tuner: Block of the tuner.
        task: Block of the task; None if the config has none.
    """

    visual: dict[str, Any]
    audio: dict[str, Any] | None
    tuner: dict[str, Any]
    task: dict[str, Any] | None


def check_config(config: Mapping[str, Any], registry: "Registry", source_name: str) -> Experiment:
    """Check a whole config, its components included, without building anything.

    Args:
        config: A config as ``load_config`` returns it.
        registry: Where components are looked up.
        source_name: The file it came from, for messages.

    Raises:
        ConfigError: Something is wrong; begins with the file and lists every problem, one a line.
    """
    reader = _reader(config)
    named, places = _check_blocks(config, reader, registry, required=("tuner", "task"))
    schedule = _check_schedule(config.get("schedule"), reader)
    compute = reader.read(config.get("compute", {}), Compute, "compute")
    seed = reader.read(config.get("seed", 0), int, "seed")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        reader.fail("seed", f"must be in 0..{MAX_SEED}, got {seed}")
    protocol = reader.read(config.get("protocol", "standard"), Protocol, "protocol")
    loggers = reader.read(config.get("loggers", {}), Loggers, "loggers")
    if reader.problems:
        raise ConfigError(report(reader.problems, source_name, config))
    assert schedule is not None
    return Experiment(
        visual=named["encoders"]["visual"],
        audio=_own_audio(named["encoders"]),
        tuner=named["tuner"],
        task=named["task"],
        schedule=schedule,
        compute=compute,
        seed=seed,
        protocol=protocol,
        loggers=loggers,
        source=named,
        origins=config.origins if isinstance(config, Config) else {},
        places=places,
    )


def check_model(config: Mapping[str, Any], registry: "Registry", source_name: str) -> ModelBlocks:
    """Check the blocks of a config that a model is built from; a task may be missing, other keys aren't looked into.

    Arguments and errors are those of ``check_config``.
    """
    reader = _reader(config)
    named, _ = _check_blocks(config, reader, registry, required=("tuner",))
    if reader.problems:
        raise ConfigError(report(reader.problems, source_name, config))
    encoders = named["encoders"]
    return ModelBlocks(
        visual=encoders["visual"], audio=_own_audio(encoders), tuner=named["tuner"], task=named.get("task")
    )


def usable(config: Config, source_name: str) -> Config:
    """Return a config whose components nobody checks, such as a part of one.

    Args:
        config: The config.
        source_name: The file it came from, for messages.

    Raises:
        ConfigError: Its files contradict each other, or its options can't be applied.
    """
    if config.problems:
        raise ConfigError(report(config.problems, source_name, config))
    return config


def report(problems: Sequence[Problem], source_name: str, config: Mapping[str, Any] | None = None) -> str:
    """Return the file and its problems, one a line, each with its place where the config knows it."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{source_name}: {count}"]
    for problem in problems:
        origin = config.origin(problem.path) if isinstance(config, Config) else None
        lines.append(f"  {problem} ({origin})" if origin else f"  {problem}")
    return "\n".join(lines)


def _reader(config: Mapping[str, Any]) -> ValueReader:
    """A reader that knows already what is wrong with the files and the options."""
    reader = ValueReader()
    if isinstance(config, Config):
        reader.problems += config.problems
    return reader


def _check_blocks(
    config: Mapping[str, Any], reader: ValueReader, registry: "Registry", required: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Check the names of all keys, and the blocks of the model.

    Returns:
        A copy of the config, with names of components that last; and the paths of the places in it.
    """
    for key in config:
        if key not in TOP:
            reader.fail(key, f"unknown key{did_you_mean(key, TOP) or f'; known: {listing(TOP)}'}")
    registry = visible(config.get("plugins", {}), registry, reader)
    blocks = _check_encoders(config.get("encoders"), reader, registry)
    for kind in ("tuner", "task"):
        if config.get(kind) is not None:
            blocks.append(registry.check(kind, config[kind], kind))
            reader.problems += blocks[-1].problems
        elif kind in required:
            reader.fail(kind, f"required: the {kind} and its arguments")
    names = {path: component.lasting for block in blocks for path, component in block.components.items()}
    return with_names(config, names), [place for block in blocks for place in block.places]


def with_names(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of a config with other names of some components.

    Args:
        config: Plain data.
        names: What is to stand under ``type``, by the path of the block.
    """
    named = copy.deepcopy(dict(config))
    for path, name in names.items():
        block: Any = named
        for key in path.split("."):
            block = block[int(key)] if isinstance(block, list) else block[key]
        block["type"] = name
    return named


def _own_audio(encoders: Mapping[str, Any]) -> dict[str, Any] | None:
    """Block of the audio encoder, None where the visual one serves."""
    audio = encoders["audio"]
    return None if audio == SHARED else audio


def _check_encoders(encoders: Any, reader: ValueReader, registry: "Registry") -> "list[Checked]":
    known = ("visual", "audio")
    blocks: list[Checked] = []
    if not isinstance(encoders, Mapping):
        reader.fail("encoders", f"required: an encoder each under 'visual' and 'audio', got {show(encoders)}")
        return blocks
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
                hint = did_you_mean(block, [SHARED])
                reader.fail(path, f"expected a backbone{shared}, got {show(block)}{hint}")
        else:
            blocks.append(registry.check("backbone", block, path))
            reader.problems += blocks[-1].problems
    return blocks


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
        elif key in AT_LEAST and value < AT_LEAST[key]:
            reader.fail(path, f"must be at least {AT_LEAST[key]}, got {value}")
        elif key in ABOVE and value <= ABOVE[key]:
            reader.fail(path, f"must be above {ABOVE[key]}, got {value}")
        elif key in BELOW and value >= BELOW[key]:
            reader.fail(path, f"must be below {BELOW[key]}, got {value}")
    warmup, epochs = numbers.get("warmup_epochs", 0), numbers.get("epochs", math.inf)
    if warmup > 0 and warmup >= epochs:
        reader.fail("schedule.warmup_epochs", f"must be less than epochs ({epochs}), got {warmup}")
