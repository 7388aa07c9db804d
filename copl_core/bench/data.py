"""What reading a data set costs, in each form in which its clips can lie on disk."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from copl_core.config import Experiment
from copl_core.contracts import Dataset, Sample, Task
from copl_core.data import (
    CacheSettings,
    Clip,
    MediaFolder,
    collate,
    create_cache,
    raise_failure,
    read_frames,
    write_cached_clip,
)
from copl_core.data.stages import Stage, stage_times
from copl_core.engine.loaders import LoadedDataset, start_worker
from copl_core.engine.memory import keep_freed_memory
from copl_core.model import input_specs
from copl_core.registry import Registry

#: JPEG's quality of pictures that are extracted for the comparison.
_QUALITY = 95


@dataclass(frozen=True)
class DataRow:
    """Measured figures of one form.

    Attributes:
        form: Layout of the ``MediaFolder``; ``files`` for a data set that reads its files by itself.
        made: Whether it was made for the comparison, from the form that the config names.
        clips_per_s: Clips a second of the loader, with worker processes as for training.
        wall_ms: Milliseconds a clip by stage in one process with one thread, as a clock shows them.
        cpu_ms: The same in processor time, without waiting for disk or for other processes.
        bytes_per_clip: Size on disk; None where a clip isn't one file.
    """

    form: str
    made: bool
    clips_per_s: float
    wall_ms: dict[Stage, float]
    cpu_ms: dict[Stage, float]
    bytes_per_clip: float | None


def build_dataset(experiment: Experiment, registry: Registry, split: str) -> tuple[Dataset, int]:
    """The data set of a config, bound to what its encoders eat, and T. Loads no weights.

    Raises:
        ConfigError: A component refuses its arguments, or an encoder can't take the role it was given.
        DataError: The data set is missing or incomplete.
    """
    blocks = {"task": ("task", experiment.task), "encoders.visual": ("backbone", experiment.visual)}
    if experiment.audio is not None:
        blocks["encoders.audio"] = ("backbone", experiment.audio)
    make = registry.factories(blocks)
    task: Task = make["task"]()
    dataset: Dataset = task.dataset(split=split)
    # The meta device costs no memory: of the encoders only the input formats are read.
    with torch.device("meta"):
        visual = make["encoders.visual"]()
        audio = make["encoders.audio"]() if "encoders.audio" in make else None
    dataset.bind(*input_specs(visual, audio))
    return dataset, task.frames


def measure_data(
    dataset: Dataset, *, frames: int, clips: int, batch_size: int, workers: int, seed: int = 0
) -> Iterator[DataRow]:
    """Measure reading of some clips, evenly spread over a data set, in each form they can be had in.

    The form on disk comes first; from raw videos extracted frames and sound are made in a temporary folder, and from
    either a cache. Files have been read once before they are measured, so the system's memory holds them.

    Args:
        dataset: Bound. Where its attribute ``media`` is a ``MediaFolder``, that is exchanged for the other forms.
        frames: T.
        clips: Number of samples; fewer if the data set is smaller.
        batch_size: Clips of a batch.
        workers: Processes of the loader; 0 reads in this one.
        seed: Of what the data set draws.

    Raises:
        DataError: A clip can't be read.
    """
    positions = [(0, int(index)) for index in np.linspace(0, len(dataset) - 1, min(clips, len(dataset)))]
    media = getattr(dataset, "media", None)
    if not isinstance(media, MediaFolder):
        _read(dataset, positions, seed)
        yield _measure(dataset, positions, batch_size, workers, seed, form="files")
        return
    with TemporaryDirectory(prefix="copl-bench-") as folder, _restored(dataset, media):
        # A sample may read other clips than its own, as one with negatives does.
        notes = _Notes(media)
        dataset.media = notes  # type: ignore[attr-defined]  # looked up above
        _read(dataset, positions, seed)
        for form in _forms(media, sorted(notes.names), frames, Path(folder)):
            dataset.media = form  # type: ignore[attr-defined]
            yield _measure(
                dataset,
                positions,
                batch_size,
                workers,
                seed,
                form=form.layout,
                made=form is not media,
                size=_bytes_per_clip(form, notes.names),
            )


class _Notes:
    """Stands for a ``MediaFolder`` and notes which clips are read."""

    def __init__(self, media: MediaFolder) -> None:
        self.media = media
        self.names: set[str] = set()

    def clip(self, name: str) -> Clip:
        self.names.add(name)
        return self.media.clip(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.media, name)


@contextmanager
def _restored(dataset: Dataset, media: MediaFolder) -> Iterator[None]:
    try:
        yield
    finally:
        dataset.media = media  # type: ignore[attr-defined]


def _forms(media: MediaFolder, names: Sequence[str], frames: int, folder: Path) -> Iterator[MediaFolder]:
    """The form on disk, then those that can be made of it."""
    yield media
    if media.layout == "videos":
        yield _extract(media, names, folder / "extracted")
    if media.layout != "cache":
        yield _prepare(media, names, frames, folder / "cache")


def _extract(media: MediaFolder, names: Sequence[str], folder: Path) -> MediaFolder:
    """Frames and sound of raw videos in LAVISH's layout."""
    import soundfile

    for name in names:
        clip = media.clip(name)
        pictures, sound = folder / "video_frames" / name, folder / "raw_audio" / f"{name}.wav"
        pictures.mkdir(parents=True)
        sound.parent.mkdir(parents=True, exist_ok=True)
        count = max(1, math.floor(clip.seconds() * media.fps + 0.5))
        for index, picture in enumerate(read_frames(clip.where(), [index / media.fps for index in range(count)])):
            picture.save(pictures / f"{index + 1:04d}.jpg", quality=_QUALITY)
        waveform, rate = clip.sound()
        soundfile.write(sound, waveform.numpy(), rate, subtype="PCM_16")
    return _like(media, folder, "lavish")


def _prepare(media: MediaFolder, names: Sequence[str], frames: int, folder: Path) -> MediaFolder:
    """A cache of some clips."""
    settings = CacheSettings(
        frames=frames, sampling=media.sampling, fps=media.fps, downmix=media.downmix, pieces=media.pieces
    )
    create_cache(folder, settings)
    for name in names:
        clip = media.clip(name)
        write_cached_clip(
            folder, name, clip.frames(frames), *clip.sound(), seconds=clip.seconds(), times=clip.times(frames)
        )
    return _like(media, folder, "cache")


def _like(media: MediaFolder, root: Path, layout: Any) -> MediaFolder:
    return MediaFolder(
        root=root,
        layout=layout,
        fps=media.fps,
        sampling=media.sampling,
        downmix=media.downmix,
        missing_audio=media.missing_audio,
    )


def _bytes_per_clip(media: MediaFolder, names: set[str]) -> float | None:
    files = [media.clip(name).where() for name in names]
    if not all(file.is_file() for file in files):
        return None
    return sum(file.stat().st_size for file in files) / len(files)


def _measure(
    dataset: Dataset,
    positions: Sequence[tuple[int, int]],
    batch_size: int,
    workers: int,
    seed: int,
    *,
    form: str,
    made: bool = False,
    size: float | None = None,
) -> DataRow:
    loader: DataLoader[Sample] = DataLoader(
        LoadedDataset(dataset, seed),
        batch_size=batch_size,
        sampler=positions,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        worker_init_fn=start_worker,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker, and the next line
    keep_freed_memory()
    try:
        _read_through(loader)  # starts the workers, and what they import
        start = perf_counter()
        _read_through(loader)
        seconds = perf_counter() - start
        with stage_times() as times:
            for first in range(0, len(positions), batch_size):
                collate(_read(dataset, positions[first : first + batch_size], seed))
    finally:
        torch.set_num_threads(threads)
    return DataRow(
        form=form,
        made=made,
        clips_per_s=len(positions) / seconds,
        wall_ms={stage: 1000 * spent / len(positions) for stage, spent in times.wall.items()},
        cpu_ms={stage: 1000 * spent / len(positions) for stage, spent in times.cpu.items()},
        bytes_per_clip=size,
    )


def _read(dataset: Dataset, positions: Sequence[tuple[int, int]], seed: int) -> list[Sample]:
    loaded = LoadedDataset(dataset, seed)
    samples = [loaded[position] for position in positions]
    for sample in samples:
        raise_failure(sample)
    return samples


def _read_through(loader: DataLoader[Sample]) -> None:
    for batch in loader:
        raise_failure(batch)
