"""A prepared cache: what training reads of each clip, and no more, in one small file a clip.

A cache is a folder with ``cache.json``, which says how its clips were sampled, and ``clips/<name>.zip``. A clip's file
is a plain ZIP archive without compression: ``clip.json``, its T frames ``0000.jpg``, ``0001.jpg`` ... and its sound
``sound.flac`` (one channel, 16 bits), if it has one. ZIP's checksums tell damage.
"""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image
from torch import Tensor

from copl_core.api import ConfigError, DataError
from copl_core.atomic import write_atomically, write_text
from copl_core.data.audio import resample
from copl_core.data.stages import stage

INDEX = "cache.json"
CLIPS = "clips"
#: Version of the format; another one is refused.
FORMAT = 2
_SOUND = "sound.flac"
_ABOUT = "clip.json"


T = TypeVar("T")
# What reading a damaged file raises: of its archive, its description, its pictures and its sound.
_DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, SyntaxError, zipfile.BadZipFile)


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """How the clips of a cache were made.

    The defaults bring AVE (4,097 clips, 10 frames and 10 s of sound each) to less than 3 GB.

    Attributes:
        frames: T, the pictures of each clip.
        sampling: See ``MediaFolder``.
        fps: See ``MediaFolder``.
        downmix: See ``AudioRecipe``.
        size: Pixels; in each direction by itself, larger pictures were shrunk to it. Encoders read squares, so the
            aspect ratio goes in any case (see ``to_input``), and what would keep it doubles a wide picture's bytes.
        quality: JPEG's, 1 to 95.
        sample_rate: Hz; sound at a higher rate is resampled to it. The encoders trained on
            AudioSet hear 32 kHz at most.
        pieces: See ``MediaFolder``.
    """

    frames: int
    sampling: str = "official"
    fps: float = 1.0
    downmix: str = "mean"
    size: int = 256
    quality: int = 90
    sample_rate: int = 32000
    pieces: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (
            ("frames", 1, 9999),
            ("size", 16, 4096),
            ("quality", 1, 95),
            ("sample_rate", 8000, 192000),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: must be from {least} to {most}")


@dataclass(frozen=True)
class CachedClip:
    """One clip's file of a cache.

    Attributes:
        path: The file.
    """

    path: Path

    def seconds(self) -> float:
        """Duration of the clip, as it was when the cache was made."""
        return float(self._about("seconds"))

    def sound_seconds(self) -> float | None:
        """Duration of its sound; None if it has none."""
        seconds = self._about("sound_seconds")
        return None if seconds is None else float(seconds)

    def times(self) -> list[float]:
        """Seconds at which its frames are seen; empty where they follow from the duration."""
        return [float(time) for time in self._about("times")]

    @stage("pictures")
    def frames(self, count: int, only: Sequence[int] | None = None) -> list[Image.Image]:
        """Its T RGB pictures or some of them, see ``Clip.frames``."""

        def read(archive: zipfile.ZipFile) -> list[Image.Image]:
            names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
            if len(names) != count:
                raise DataError(
                    f"cached clip {self.path} holds {len(names)} frames, {count} are wanted: prepare the cache again "
                    f"with {count}"
                )
            wanted = names if only is None else [names[index] for index in only]
            return [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in wanted]

        return self._read(read)

    @stage("sound")
    def sound(self) -> tuple[Tensor, int] | None:
        """Its waveform (S,), float32 in [-1, 1], and the rate in Hz; None if it has none."""

        def read(archive: zipfile.ZipFile) -> tuple[Tensor, int] | None:
            if _SOUND not in archive.namelist():
                return None
            import soundfile
            import torch

            samples, rate = soundfile.read(io.BytesIO(archive.read(_SOUND)), dtype="float32")
            return torch.from_numpy(samples), int(rate)

        return self._read(read)

    def verify(self) -> None:
        """Read the file whole and compare it with its checksums.

        Raises:
            DataError: It is missing or damaged.
        """
        damaged = self._read(lambda archive: archive.testzip())
        if damaged is not None:
            raise _error(self.path, f"{damaged} in it is damaged")

    def _about(self, what: str) -> Any:
        return self._read(lambda archive: json.loads(archive.read(_ABOUT))[what])

    def _read(self, read: Callable[[zipfile.ZipFile], T]) -> T:
        if not self.path.is_file():
            raise _error(self.path, "no such file")
        try:
            with zipfile.ZipFile(self.path) as archive:
                return read(archive)
        except _DAMAGE as error:
            raise _error(self.path, f"it is damaged ({error})") from error


def create_cache(folder: str | Path, settings: CacheSettings) -> None:
    """Begin a cache, or go on with one made with the same settings.

    Raises:
        DataError: There is a cache with other settings.
    """
    folder = Path(folder)
    if (folder / INDEX).exists():
        found = read_cache_settings(folder)
        if found != settings:
            changed = _differences(asdict(found), asdict(settings))
            raise DataError(f"cache {folder} was prepared with {changed}: name another folder, or remove this one")
        return
    text = json.dumps({"format": FORMAT, **asdict(settings)}, indent=2) + "\n"
    write_text(folder / INDEX, text)


def read_cache_settings(folder: str | Path) -> CacheSettings:
    """How a cache was made.

    Raises:
        DataError: There is no cache, or one of another format.
    """
    path = Path(folder) / INDEX
    hint = "write one with copl_core.data.create_cache and write_cached_clip"
    try:
        content = json.loads(path.read_bytes())
        version = content.pop("format")
    except FileNotFoundError as error:
        raise DataError(f"no prepared cache in {folder}: {INDEX} is missing; {hint}") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"cannot read {path}: it is damaged; {hint}") from error
    if version == FORMAT and set(content) != {field.name for field in fields(CacheSettings)}:
        raise DataError(f"cannot read {path}: it doesn't hold the settings of a cache; {hint}")
    if version != FORMAT:
        raise DataError(f"{path} is of format {version}, this version of copl reads {FORMAT}; {hint}")
    return CacheSettings(**content)


def write_cached_clip(
    folder: str | Path,
    name: str,
    frames: Sequence[Image.Image],
    waveform: Tensor | None,
    rate: int,
    *,
    seconds: float | None = None,
    times: Sequence[float] = (),
) -> Path:
    """Write one clip of a cache, whole or not at all; an older file of that clip is replaced.

    Args:
        folder: Of a cache begun by ``create_cache``, which has the settings.
        name: The clip's.
        frames: T pictures of any size.
        waveform: (S,) in [-1, 1]; what is beyond is clipped. A rate above the cache's comes down to it. None for a clip
            without sound.
        rate: Of the waveform in Hz.
        seconds: Duration of the clip; that of the sound if not given.
        times: Seconds at which the frames are seen, where the sampling rule and the duration don't tell.

    Returns:
        The file.

    Raises:
        DataError: There is no cache, or it holds another number of frames to a clip.
    """
    settings = read_cache_settings(folder)
    if len(frames) != settings.frames:
        raise DataError(f"clip {name!r} has {len(frames)} frames, cache {folder} holds {settings.frames} to a clip")
    sound_seconds = None if waveform is None else len(waveform) / rate
    if seconds is None:
        seconds = sound_seconds or 0.0
    about = {"name": name, "seconds": seconds, "sound_seconds": sound_seconds, "times": list(times)}
    parts = {_ABOUT: json.dumps(about).encode()}
    for index, frame in enumerate(frames):
        parts[f"{index:04d}.jpg"] = _jpeg(frame, settings)
    if waveform is not None:
        parts[_SOUND] = _flac(*_at_most(settings.sample_rate, waveform, rate))

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w") as archive:
            for part, content in parts.items():
                archive.writestr(zipfile.ZipInfo(part), content)  # ZipInfo's date is fixed: same clip, same bytes

    path = cached_clip(folder, name).path
    write_atomically(path, write)
    return path


def cached_clip(folder: str | Path, name: str) -> CachedClip:
    """The file of a clip, whether it exists or not."""
    return CachedClip(Path(folder) / CLIPS / f"{name}.zip")


def _jpeg(frame: Image.Image, settings: CacheSettings) -> bytes:
    frame = frame.convert("RGB")
    size = min(frame.width, settings.size), min(frame.height, settings.size)
    if size != frame.size:
        frame = frame.resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    frame.save(buffer, "JPEG", quality=settings.quality, optimize=True)
    return buffer.getvalue()


def _at_most(limit: int, waveform: Tensor, rate: int) -> tuple[Tensor, int]:
    return (waveform, rate) if rate <= limit else (resample(waveform, rate, limit), limit)


def _flac(waveform: Tensor, rate: int) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.numpy(), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    return ", ".join(f"{key} {found[key]} (now {wanted[key]})" for key in found if found[key] != wanted[key])


def _error(path: Path, reason: str) -> DataError:
    return DataError(f"cannot read cached clip {path}: {reason}; write it again")
