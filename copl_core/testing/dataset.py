"""The check of a data set."""

import os
import pickle
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from copl_core.config.signature import signature_of
from copl_core.contracts import AudioSpec, Dataset, ImageSpec, Sample, SpectrogramSpec, WaveformSpec
from copl_core.data import collate
from copl_core.registry import is_place
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.tensors import far_apart, same

#: What made-up encoders eat; no two sizes are the same, so that none is taken for another.
IMAGE = ImageSpec(height=32, width=48)
SOUNDS: tuple[AudioSpec, ...] = (
    SpectrogramSpec(frames=40, mel_bins=24),
    WaveformSpec(sample_rate=16_000, samples=8_000),
)


def check_dataset(component: Subject, /, *, splits: Sequence[str] = ("train",), **arguments: Any) -> None:
    """Check a data set against its contract, ``copl_core.contracts.Dataset``; reads its first and last clip.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        splits: The splits to read.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("dataset", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Dataset, methods=("__getitem__",))
        report.check("places", _check_places, candidate)
        found = {}
        for split in splits:
            with report.setting(f"split {split}"):
                dataset: Dataset | None = report.build(partial(candidate.build, split=split))
                if dataset is not None and report.check("length", _check_length, dataset):
                    found[split] = dataset
                    _check_split(report, dataset)
        report.check("names", _check_names, list(found.values()))


def _check_places(candidate: Candidate) -> None:
    """An argument that names a file or folder is known as one, or it ends up in what is exported."""
    arguments = signature_of(candidate.cls).arguments
    texts = {name: value for name, value in candidate.given.items() if isinstance(value, (str, Path))}
    known = {name for name, argument in arguments.items() if is_place(argument.annotation)}
    unknown = [name for name, value in texts.items() if name not in known and _is_there(value)]
    if unknown:
        raise Failure(
            f"expected what says where the data lie to be annotated Path, {', '.join(unknown)} is not; it would be "
            "part of what is exported"
        )


def _is_there(value: str | Path) -> bool:
    return os.sep in str(value) and Path(value).expanduser().exists()


def _check_split(report: Report, dataset: Dataset) -> None:
    for sound in SOUNDS:
        dataset.bind(IMAGE, sound)
        if not report.check("samples", _check_samples, dataset, sound):
            return
    report.check("normalisation", _check_normalisation, dataset)
    report.check("determinism", _check_determinism, dataset)
    report.check("workers", _check_pickling, dataset)
    report.check("pictures", _check_pictures, dataset)


def _check_length(dataset: Dataset) -> None:
    if len(dataset) < 1:
        raise Failure("expected clips, there are none; point the check to a folder with some")


def _read(dataset: Dataset, index: int) -> Sample:
    """One clip; whatever is drawn at random is drawn alike."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return dataset[index]


def _ends(dataset: Dataset) -> list[Sample]:
    return [_read(dataset, index) for index in sorted({0, len(dataset) - 1})]


def _check_samples(dataset: Dataset, sound: AudioSpec) -> None:
    samples = _ends(dataset)
    for sample in samples:
        if not isinstance(sample.get("name"), str):
            raise Failure(f"expected a clip's name under 'name', got {sample.get('name')!r}; name each clip")
        frames = _expect_input(sample, "visual", (3, IMAGE.height, IMAGE.width))
        shape = (
            (sound.channels, sound.frames, sound.mel_bins) if isinstance(sound, SpectrogramSpec) else (sound.samples,)
        )
        if _expect_input(sample, "audio", shape) != frames:
            raise Failure(
                f"expected one segment of sound a frame, got {tuple(sample['audio'].shape)} for {frames} frames; "
                "cut the sound by frames"
            )
    collate(samples)


def _expect_input(sample: Sample, key: str, shape: tuple[int, ...]) -> int:
    """Check an encoder's input; its T."""
    tensor = sample.get(key)
    if not isinstance(tensor, Tensor):
        raise Failure(f"expected a tensor under {key!r}, got {type(tensor).__name__}")
    if tuple(tensor.shape[1:]) != shape or tensor.dtype != torch.float32:
        wanted = ", ".join(["T", *map(str, shape)])
        raise Failure(
            f"expected {key} ({wanted}) in float32, as bind() asks for, got {tuple(tensor.shape)} in {tensor.dtype}; "
            "make it by self.specs (copl_core.data: to_input, audio_segments)"
        )
    if not tensor.isfinite().all():
        raise Failure(f"expected finite numbers, {key} of clip {sample['name']!r} has NaN or infinity")
    return tensor.shape[0]


def _check_normalisation(dataset: Dataset) -> None:
    """Two encoders with other means and deviations get the same pixels."""
    other = replace(IMAGE, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    pixels = []
    for spec in (IMAGE, other):
        dataset.bind(spec, SOUNDS[0])
        mean, std = (torch.tensor(value).view(3, 1, 1) for value in (spec.mean, spec.std))
        pixels.append(_read(dataset, 0)["visual"] * std + mean)
    if far_apart(*pixels, tolerance=1e-4):
        raise Failure("expected images normalised by the mean and deviation of bind(), they are not; use to_input")
    # Bicubic resizing may overshoot.
    if pixels[0].min() < -0.3 or pixels[0].max() > 1.3:
        raise Failure("expected pixels scaled to 0..1 before they are normalised, they reach beyond; use to_input")


def _check_determinism(dataset: Dataset) -> None:
    if not same(_read(dataset, 0), _read(dataset, 0)):
        raise Failure("expected the same clip at equal seeds, two readings differ; draw from torch's generator only")


def _check_pickling(dataset: Dataset) -> None:
    try:
        copy: Dataset = pickle.loads(pickle.dumps(dataset))
    except Exception as error:
        raise Failure(
            f"expected a data set that can go to a worker process, pickling fails: {error}; keep no open files and no "
            "lambdas as attributes"
        ) from error
    if not same(_read(copy, 0), _read(dataset, 0)):
        raise Failure("expected the same clip in a worker process, it differs; keep what matters in attributes")


def _check_pictures(dataset: Dataset) -> None:
    frames, pictures = len(_read(dataset, 0)["visual"]), dataset.pictures(0)
    if not all(isinstance(picture, Image.Image) for picture in pictures) or len(pictures) != frames:
        raise Failure(f"expected the {frames} frames of a clip as PIL images, got {pictures!r}")


def _check_names(datasets: Sequence[Dataset]) -> None:
    for dataset in datasets:
        names = dataset.names
        if not all(isinstance(v, tuple) and all(isinstance(name, str) for name in v) for v in names.values()):
            raise Failure(f"expected tuples of strings, got {names!r}; list what the numbers in samples stand for")
        if dict(names) != dict(datasets[0].names):
            raise Failure("expected the same names for all splits, they differ; take them from one list")
