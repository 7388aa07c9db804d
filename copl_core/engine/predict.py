"""Use exported prompts on any video."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import torch

from copl_core.api import ConfigError, PluginError, WeightsError
from copl_core.checkpoint import Header, check_providers, load_trained, read_header
from copl_core.config import check_model
from copl_core.config.options import apply_options
from copl_core.config.signature import signature_of
from copl_core.config.values import ValueReader
from copl_core.contracts import Backbone, Prediction, Predictions, Predictor, Sample, Task, Tuner
from copl_core.engine.build import encoder_blocks, load_encoders, make_encoders
from copl_core.engine.render import predict_sample
from copl_core.engine.runner import pick_device
from copl_core.engine.settings import without_folders
from copl_core.model import TwoStream, input_specs
from copl_core.plugins import get_table
from copl_core.registry import Registry

#: Told after each window of a video: how many are done, and how many there are.
Progress = Callable[[int, int], None]
_WHERE_WEIGHTS = (
    "An export names files by their last part only. Say where they lie here: copl predict ... --cfg-options "
    "encoders.<role>.weights=FILE, or load(..., options=['encoders.<role>.weights=FILE'])."
)


class TrainedModel:
    """Encoders, prompts and head of an export, ready for videos. Made by ``load``.

    Attributes:
        model: Encoders, tuner and head, in evaluation mode.
        header: What the export says about itself.
        device: Where the model runs.
    """

    def __init__(self, model: TwoStream, header: Header, predictor: Predictor, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self.header = header
        self.device = device
        self._predictor = predictor

    @property
    def answers_questions(self) -> bool:
        """Whether ``predict`` needs a question."""
        return self._predictor.answers_questions

    def predict(
        self, video: str | PathLike[str], *, question: str | None = None, progress: Progress | None = None
    ) -> Prediction:
        """Use the model on a video. A long one is cut into windows, of which one is held at a time.

        Args:
            video: A file of any container and codec FFmpeg reads.
            question: What to answer, for tasks that answer questions.
            progress: Told after each window.

        Returns:
            The task's result; its ``save(folder)`` draws it, its ``to_json()`` gives it as plain data.

        Raises:
            DataError: The video can't be read, is too short or silent, or the question can't be answered.
        """

        def run(samples: Iterable[Sample], count: int) -> Iterator[Predictions]:
            for number, sample in enumerate(samples, start=1):
                yield predict_sample(self.model, sample, self.device)
                if progress is not None:
                    progress(number, count)

        return self._predictor.predict(Path(video), run, question)

    def check(self, video: str | PathLike[str], *, question: str | None = None) -> None:
        """Look for what makes ``predict`` refuse a video or a question, as far as it shows without the model.

        Args:
            video: See ``predict``.
            question: See ``predict``.

        Raises:
            DataError: See ``predict``. A video that is damaged further on is not noticed.
        """

        def run(samples: Iterable[Sample], count: int) -> Iterator[Predictions]:
            raise _WouldRunError

        with suppress(_WouldRunError):
            self._predictor.predict(Path(video), run, question)


class _WouldRunError(Exception):
    """All that comes before the model has gone well."""


def load(path: str | PathLike[str], *, device: str = "auto", options: Sequence[str] = ()) -> TrainedModel:
    """Rebuild what was trained from its export: prompts.safetensors and head.safetensors alone.

    Args:
        path: The export folder or its prompts file.
        device: ``auto``, ``cpu`` or ``cuda``.
        options: Changes to the model's config, ``path=value`` each. An export names files by their last part only:
            ``encoders.audio.weights=FILE`` says where encoder weights lie here.

    Raises:
        CoplError: The export is damaged, encoder weights are missing or are others, or the task can't be used on
            videos.
    """
    return load_all([path], device=device, options=options)[0]


def load_all(
    paths: Sequence[str | PathLike[str]], *, device: str = "auto", options: Sequence[str] = ()
) -> list[TrainedModel]:
    """Rebuild several exports; those with the same frozen encoders share them in memory.

    Args:
        paths: Of each the export folder or its prompts file.
        device: ``auto``, ``cpu`` or ``cuda``.
        options: See ``load``; they go for each.

    Raises:
        CoplError: See ``load``.
    """
    target = pick_device(device)
    loaded: _Loaded = {}
    return [_load(Path(path), target, options, loaded) for path in paths]


@dataclass(frozen=True)
class _Encoders:
    """Encoders with their weights, and what they are; no audio encoder where the visual one is shared."""

    visual: Backbone
    audio: Backbone | None
    described: Mapping[str, Any]


#: Encoders in memory, by what they are.
_Loaded: TypeAlias = dict[str, _Encoders]


def _load(path: Path, device: torch.device, options: Sequence[str], loaded: _Loaded) -> TrainedModel:
    """Rebuild one export on encoders that are in memory already, or on its own, which are kept there."""
    header = read_header(path)
    config = apply_options({key: dict(block) for key, block in header.model.items()}, options)
    table = get_table()
    check_providers(path, header, table)
    registry = Registry(table)
    blocks = check_model({key: config.get(key) for key in ("encoders", "tuner")}, registry, str(path))
    block = config.get("task") or {}
    task = _task(block, registry)
    make = registry.factories(
        {
            "tuner": ("tuner", blocks.tuner),
            "task.head": ("head", block.get("head")),
            **encoder_blocks(blocks.visual, blocks.audio),
        }
    )
    key = None if _trains_encoders(blocks.tuner, registry) else _encoders_key(blocks.visual, blocks.audio, header)
    encoders = loaded.get(key) if key is not None else None
    if encoders is None:
        visual, audio = make_encoders(make, header.seed)
    else:
        visual, audio = encoders.visual, encoders.audio
    image_spec, audio_spec = input_specs(visual, audio)
    names = {kind: tuple(values) for kind, values in header.names.items()}
    predictor = _predictor(task, block.get("dataset") or {}, image_spec=image_spec, audio_spec=audio_spec, names=names)
    if encoders is None:
        encoders = _load_encoders(visual, audio)
    model = TwoStream(
        visual=visual, audio=audio, tuner=make["tuner"], head=make["task.head"], frames=task.frames, names=names
    )
    load_trained(path, model, encoders.described, without_folders(config))
    if key is not None:
        loaded[key] = encoders
    return TrainedModel(model, header, predictor, device)


def _trains_encoders(tuner: Mapping[str, Any], registry: Registry) -> bool:
    """Whether an export brings encoder weights of its own."""
    kind: type[Tuner] = registry.resolve("tuner", str(tuner.get("type")))
    return kind.unfreezes


def _encoders_key(visual: Mapping[str, Any], audio: Mapping[str, Any] | None, header: Header) -> str:
    """The same for encoders of the same arguments and weights, wherever the weights lie."""
    arguments = [
        {name: value for name, value in block.items() if name != "weights"}
        for block in (visual, audio)
        if block is not None
    ]
    fingerprints = {role: encoder.get("fingerprint") for role, encoder in header.encoders.items()}
    return json.dumps([arguments, fingerprints], sort_keys=True)


def _load_encoders(visual: Backbone, audio: Backbone | None) -> _Encoders:
    try:
        return _Encoders(visual, audio, load_encoders(visual, audio))
    except WeightsError as error:
        raise WeightsError(f"{error}\n{_WHERE_WEIGHTS}") from error


def _task(block: Mapping[str, Any], registry: Registry) -> type[Task]:
    """The task's class.

    Raises:
        PluginError: It isn't installed, or has no predictor.
    """
    component = registry.table.find("task", str(block.get("type")))
    task: type[Task] = registry.resolve_component(component)
    if task.predictor is None:
        raise PluginError(
            f"task {component.name!r} (plugin {component.plugin} {component.version}) can't be used on videos: it has "
            "no Task.predictor; docs/predict.md shows the plugin's author how to add one"
        )
    return task


def _predictor(task: type[Task], dataset: Mapping[str, Any], **context: Any) -> Predictor:
    """The task's predictor, with the settings that it shares with the data set of the training.

    Raises:
        ConfigError: A setting is of a wrong type.
    """
    assert task.predictor is not None
    signature = signature_of(task.predictor)
    shared = {key: value for key, value in dataset.items() if key in signature.settable}
    reader = ValueReader()
    arguments = reader.read_arguments(signature, shared, "task.dataset")
    if reader.problems:
        raise ConfigError("\n".join(map(str, reader.problems)))
    offered = {name: value for name, value in context.items() if name in signature.arguments}
    return task.predictor(**arguments, **offered)
