"""One clip: its pictures and its sound, in each of the forms in which clips can lie on disk."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from copl_core.api import DataError
from copl_core.data.audio import check_wav, read_wav
from copl_core.data.cache import cached_clip
from copl_core.data.image import read_image
from copl_core.data.order import natural
from copl_core.data.soundtrack import read_sound
from copl_core.data.stages import stage
from copl_core.data.video import probe, read_frames

if TYPE_CHECKING:
    from copl_core.data.media import MediaFolder

Sampling = Literal["official", "seconds"]

#: Endings of extracted pictures, in any case.
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
#: Folder of extracted frames, and folders in which their sound may lie, below the root, by layout.
EXTRACTED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lavish": ("video_frames", ("raw_audio",)),
    "dgsct": ("frames", ("wave", "audio_wave")),
}
#: Hz of a silent waveform.
SILENCE_RATE = 16000
#: Hz of DG-SCT's sound arrays.
DGSCT_RATE = 32000
SILENCE_HINT = "or set missing_audio: silence"


@dataclass(frozen=True)
class Durations:
    """How long a clip is.

    Attributes:
        pictures: Seconds; of extracted frames their number by ``fps``.
        sound: Seconds; None for a clip without sound.
    """

    pictures: float
    sound: float | None

    @property
    def apart(self) -> bool:
        """Whether pictures and sound differ by more than a second and more than a tenth."""
        if self.sound is None:
            return False
        return abs(self.pictures - self.sound) > max(1.0, 0.1 * max(self.pictures, self.sound))


class Clip(ABC):
    """One clip: its pictures and its sound.

    Attributes:
        name: As in the data set's lists.
    """

    def __init__(self, folder: "MediaFolder", name: str) -> None:
        self.folder = folder
        self.name = name

    @abstractmethod
    def frames(self, count: int, only: Sequence[int] | None = None) -> list[Image.Image]:
        """T RGB pictures by the folder's sampling rule, or some of them.

        Args:
            count: T.
            only: Which of the T, from 0, in the order they are wanted in; others are not decoded. None: all.

        Raises:
            DataError: A file is missing or can't be read.
        """

    @abstractmethod
    def sound(self) -> tuple[Tensor, int]:
        """The waveform (S,), float32 in [-1, 1], and its rate in Hz.

        Raises:
            DataError: A file is missing or can't be read, or there is no sound and the folder does not allow that.
        """

    @abstractmethod
    def seconds(self) -> float:
        """Duration of the pictures.

        Raises:
            DataError: A file is missing or can't be read.
        """

    @abstractmethod
    def times(self, count: int) -> list[float]:
        """Seconds at which the T pictures of ``frames`` are seen.

        Extracted frames are taken to be spread evenly over the sound, whatever their rate.

        Raises:
            DataError: A file is missing or can't be read.
        """

    @abstractmethod
    def check(self) -> Durations:
        """Look at the files without reading them whole.

        Raises:
            DataError: One is missing, damaged as far as can be seen, or without sound where that is not allowed.
        """

    @abstractmethod
    def where(self) -> Path:
        """The file or folder that holds the pictures."""

    def _silence(self) -> tuple[Tensor, int]:
        return torch.zeros(max(1, round(self.seconds() * SILENCE_RATE))), SILENCE_RATE

    @property
    def _may_be_silent(self) -> bool:
        return self.folder.missing_audio == "silence"


class _RawClip(Clip):
    """A video file."""

    def where(self) -> Path:
        return self.folder.video(self.name)

    def frames(self, count: int, only: Sequence[int] | None = None) -> list[Image.Image]:
        folder = self.folder
        wanted = range(count) if only is None else only

        def times(seconds: float) -> list[float]:
            every = folder.times(seconds, count)
            return [every[index] for index in wanted]

        return read_frames(self.where(), times)

    def times(self, count: int) -> list[float]:
        return self.folder.times(self.seconds(), count)

    def sound(self) -> tuple[Tensor, int]:
        path = self.where()
        if self._may_be_silent and probe(path).rate is None:
            return self._silence()
        return read_sound(path, self.folder.downmix)

    def seconds(self) -> float:
        return probe(self.where()).seconds

    def check(self) -> Durations:
        path = self.where()
        info = probe(path)
        if info.rate is None and not self._may_be_silent:
            raise DataError(
                f"cannot read video {path}: no audio track; use a version with sound, leave this clip out, "
                f"{SILENCE_HINT}"
            )
        return Durations(info.seconds, None if info.rate is None else info.sound_seconds)


class _ExtractedClip(Clip):
    """A folder of pictures and a file of sound."""

    def where(self) -> Path:
        return self.folder.root / EXTRACTED[self.folder.layout][0] / self.name

    def frames(self, count: int, only: Sequence[int] | None = None) -> list[Image.Image]:
        files = self._files()
        indices = self._indices(len(files), count)
        return [read_image(files[indices[index]]) for index in (range(count) if only is None else only)]

    def times(self, count: int) -> list[float]:
        available = len(self._files())
        seconds = self._sound_seconds()
        rate = self.folder.fps if seconds is None else available / seconds
        return [index / rate for index in self._indices(available, count)]

    def _indices(self, available: int, count: int) -> list[int]:
        """Which of the pictures are the T."""
        if self.folder.sampling == "seconds":
            return [min(math.floor((second + 0.5) * self.folder.fps), available - 1) for second in range(count)]
        return [number - 1 for number in _numbers(available, count)]

    def sound(self) -> tuple[Tensor, int]:
        path = self._sound_file()
        if path is None:
            return self._silence()
        if path.suffix == ".npy":
            return torch.from_numpy(_read_array(path)), DGSCT_RATE
        return read_wav(path, self.folder.downmix)

    def seconds(self) -> float:
        return len(self._files()) / self.folder.fps

    def check(self) -> Durations:
        files = self._files()
        empty = next((path for path in files if not path.stat().st_size), None)
        if empty is not None:
            raise DataError(f"cannot read image {empty}: the file is empty; extract the frames of this clip again")
        read_image(files[0])
        durations = Durations(self.seconds(), self._sound_seconds())
        if self.folder.sampling == "seconds" and durations.apart:
            raise DataError(
                f"{self.where()}: {len(files)} pictures at fps {self.folder.fps:g} are {durations.pictures:.1f} s, the "
                f"sound {durations.sound:.1f} s: set fps to the rate at which they were extracted"
            )
        return durations

    def _sound_seconds(self) -> float | None:
        """Duration of the sound; None if there is none and silence is allowed."""
        path = self._sound_file()
        if path is None:
            return None
        return _open_array(path).size / DGSCT_RATE if path.suffix == ".npy" else check_wav(path)

    def _files(self) -> list[Path]:
        """Pictures in the order of their numbers; other files that happen to lie there are left out."""
        folder = self.where()
        hint = "extract them again or leave this clip out"
        if not folder.is_dir():
            raise DataError(f"no frames of clip {self.name!r}: {folder} is no folder; {hint}")
        names = [name for name in list_folder(folder) if ending_of(name) in PICTURES and not name.startswith(".")]
        if not names:
            raise DataError(f"no frames of clip {self.name!r}: {folder} holds no pictures; {hint}")
        kinds = sorted({ending_of(name) for name in names})
        if len(kinds) > 1:
            raise DataError(f"{folder} holds pictures of several kinds, {' and '.join(kinds)}: keep the frames only")
        return [folder / name for name in sorted(names, key=natural)]

    def _sound_file(self) -> Path | None:
        """The sound's file; None if there is none and silence is allowed."""
        ending = ".npy" if self.folder.layout == "dgsct" else ".wav"
        paths = [self.folder.root / s / f"{self.name}{ending}" for s in EXTRACTED[self.folder.layout][1]]
        found = next((path for path in paths if path.exists()), None)
        if found is None and not self._may_be_silent:
            raise DataError(
                f"no sound of clip {self.name!r}: looked for {' and '.join(map(str, paths))}; extract it again, "
                f"leave this clip out, {SILENCE_HINT}"
            )
        return found


class _CacheClip(Clip):
    """A file of a prepared cache."""

    def where(self) -> Path:
        return cached_clip(self.folder.root, self.name).path

    def frames(self, count: int, only: Sequence[int] | None = None) -> list[Image.Image]:
        return cached_clip(self.folder.root, self.name).frames(count, only)

    def sound(self) -> tuple[Tensor, int]:
        sound = cached_clip(self.folder.root, self.name).sound()
        if sound is not None:
            return sound
        self._check_silence()
        return self._silence()

    def seconds(self) -> float:
        return cached_clip(self.folder.root, self.name).seconds()

    def times(self, count: int) -> list[float]:
        clip = cached_clip(self.folder.root, self.name)
        return clip.times() or self.folder.times(clip.seconds(), count)

    def check(self) -> Durations:
        clip = cached_clip(self.folder.root, self.name)
        sound = clip.sound_seconds()
        if sound is None:
            self._check_silence()
        return Durations(clip.seconds(), sound)

    def _check_silence(self) -> None:
        if not self._may_be_silent:
            raise DataError(f"cached clip {self.where()} has no sound; leave this clip out, {SILENCE_HINT}")


def clip_of(folder: "MediaFolder", name: str) -> Clip:
    """The clip of that name in a folder; does not touch the disk."""
    kinds: dict[str, type[Clip]] = {"videos": _RawClip, "cache": _CacheClip}
    return kinds.get(folder.layout, _ExtractedClip)(folder, name)


def frame_times(seconds: float, count: int, *, fps: float, sampling: Sampling) -> list[float]:
    """Times in seconds of the T pictures that ``MediaFolder`` takes of a video file.

    Args:
        seconds: Duration of the video.
        count: T.
        fps: See ``MediaFolder``.
        sampling: See ``MediaFolder``.
    """
    if sampling == "seconds":
        return [second + 0.5 for second in range(count)]
    return [(number - 1) / fps for number in _numbers(max(1, math.floor(seconds * fps + 0.5)), count)]


def _numbers(available: int, count: int) -> list[int]:
    """Numbers from 1 of T pictures, as the field's loaders choose them: both ends, truncated."""
    return [int(number) for number in np.linspace(1, available, count)]


def list_folder(folder: Path) -> list[str]:
    """Names of what is in a folder; none if there is no such folder."""
    return os.listdir(folder) if folder.is_dir() else []


def ending_of(name: str) -> str:
    """The ending of a file's name in small letters, with its dot."""
    return os.path.splitext(name)[1].lower()


def _open_array(path: Path) -> NDArray[np.generic]:
    """DG-SCT's sound, not yet read: (seconds, 32000), or the same in one row."""
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot read audio {path}: it is no array, or cut short; extract it again") from error
    in_rows = array.ndim == 2 and array.shape[1] == DGSCT_RATE
    in_one_row = array.ndim == 1 and array.size % DGSCT_RATE == 0
    if not array.size or not (in_rows or in_one_row):
        raise DataError(f"cannot read audio {path}: its shape is {array.shape}, not seconds of {DGSCT_RATE} samples")
    if array.dtype != np.int16 and not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"cannot read audio {path}: it holds {array.dtype}, not float or int16 samples")
    return array


@stage("sound")
def _read_array(path: Path) -> NDArray[np.float32]:
    array = _open_array(path)
    samples = np.array(array, dtype=np.float32).reshape(-1)
    if array.dtype == np.int16:
        samples /= 32768
    if not np.isfinite(samples).all():
        raise DataError(f"cannot read audio {path}: it holds samples that are no numbers; extract it again")
    return samples
