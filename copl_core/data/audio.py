"""Sound: from a file to the segments an encoder eats."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from copl_core.api import ConfigError, DataError
from copl_core.contracts import AudioSpec, SpectrogramSpec, WaveformSpec
from copl_core.data.stages import stage

Downmix = Literal["mean", "channel0"]

#: Seconds left out at the end of a file when segments are placed (the margin of LAVISH's loaders).
MARGIN = 0.1
#: Seconds of one analysis window of the spectrogram (Kaldi's default).
WINDOW = 0.025
_HINT = "re-extract or re-download this file"
# Sizes a streaming writer leaves in the header where it doesn't know the length.
_UNKNOWN_LENGTHS = (0, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class AudioRecipe:
    """How an experiment turns sound into spectrograms; the picture's size belongs to the encoder's ``input_spec``.

    Attributes:
        sample_rate: Hz; files with another rate are resampled to it.
        seconds: Length of the segment that goes with one frame.
        frame_shift_ms: Hop of the spectrogram in milliseconds.
        mean: Mean of the log-mel values over the training set; values become ``(x - mean) / (2 * std)``.
        std: Their standard deviation. Mean 0 and std 0.5 leave the values as they are.
        downmix: How many channels become one: their mean, or the first (what torchaudio's fbank does silently).
    """

    sample_rate: int = 16000
    seconds: float = 1.95
    frame_shift_ms: float = 10.0
    mean: float
    std: float
    downmix: Downmix = "mean"

    def __post_init__(self) -> None:
        for name in ("sample_rate", "seconds", "frame_shift_ms", "std"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"audio.{name} is {value!r}: must be a finite number above 0")
        if self.sample_rate != int(self.sample_rate):
            raise ConfigError(f"audio.sample_rate is {self.sample_rate!r}: must be a whole number of Hz")
        if not math.isfinite(self.mean):
            raise ConfigError(f"audio.mean is {self.mean!r}: must be a finite number")
        if self.seconds < WINDOW:
            raise ConfigError(f"audio.seconds is {self.seconds!r}: must be at least one window of {WINDOW} s")
        if self.frame_shift_ms * self.sample_rate < 1000:
            raise ConfigError(f"audio.frame_shift_ms is {self.frame_shift_ms!r}: must be at least one sample")
        if self.downmix not in get_args(Downmix):
            raise ConfigError(f"audio.downmix is {self.downmix!r}: must be one of {', '.join(get_args(Downmix))}")


@stage("sound")
def read_wav(path: str | PathLike[str], downmix: Downmix = "mean") -> tuple[Tensor, int]:
    """Read a sound file as one channel.

    Args:
        path: Any format libsndfile reads.
        downmix: See ``AudioRecipe``.

    Returns:
        The waveform (S,) in [-1, 1], float32, and its rate in Hz.

    Raises:
        DataError: The file is missing, damaged, cut short or holds no samples.
    """
    import soundfile

    path = Path(path)
    samples, rate = _reading(path, lambda: soundfile.read(path, dtype="float32", always_2d=True))
    if not len(samples):
        raise DataError(f"cannot read audio {path}: it holds no samples; {_HINT}")
    if not np.isfinite(samples).all():
        raise DataError(f"cannot read audio {path}: it holds samples that are no numbers; {_HINT}")
    waveform = samples.mean(axis=1) if downmix == "mean" else samples[:, 0].copy()
    return torch.from_numpy(waveform), int(rate)


def check_wav(path: str | PathLike[str]) -> float:
    """Look at the header of a sound file.

    Returns:
        Its duration in seconds.

    Raises:
        DataError: The file is missing, damaged as far as the header shows, cut short or holds no samples.
    """
    import soundfile

    path = Path(path)
    info = _reading(path, lambda: soundfile.info(path))
    if not info.frames:
        raise DataError(f"cannot read audio {path}: it holds no samples; {_HINT}")
    return float(info.duration)


def segment_starts(samples: int, rate: int, seconds: float, segments: int) -> list[int]:
    """First sample of each segment: evenly spaced from the start, the last one ``MARGIN`` seconds before the end.

    Segments may overlap, and aren't aligned with whole seconds. This is LAVISH's rule, also for AVSBench.

    Args:
        samples: Length L of the waveform. One shorter than a segment and its margin is taken as zero-padded to that.
        rate: Hz.
        seconds: Length of a segment.
        segments: T.

    Returns:
        T sample indices: ``int(linspace(0, L - rate * (seconds + MARGIN), T))``.
    """
    last = max(0.0, samples - rate * (seconds + MARGIN))
    return [int(start) for start in np.linspace(0, last, segments)]


def log_mel(waveform: Tensor, recipe: AudioRecipe, spec: SpectrogramSpec) -> Tensor:
    """Log-mel spectrogram of one segment, as Kaldi computes it.

    25 ms Hann windows, per-window mean removed, pre-emphasis 0.97, no dither, mel filters from 20 Hz to half the rate,
    natural logarithm of the power. With 192 bins at 16 kHz the 8 lowest filters hold no FFT bin and are constant.

    Normalisation comes before padding, so that padding stands for the data set's mean.

    Args:
        waveform: (S,) at ``recipe.sample_rate``; the caller has subtracted the mean of the whole file.
        recipe: Hop and normalisation.
        spec: Size: the time axis is cut, or padded with zeros at its end.

    Returns:
        (channels, frames, mel_bins) float32, one channel repeated: a view of it, not copies.

    Raises:
        ValueError: The waveform is shorter than one window.
    """
    from torchaudio.compliance import kaldi

    if waveform.shape[0] < WINDOW * recipe.sample_rate:
        raise ValueError(f"{waveform.shape[0]} samples at {recipe.sample_rate} Hz are less than one window")
    mel: Tensor = kaldi.fbank(
        waveform[None],
        sample_frequency=recipe.sample_rate,
        num_mel_bins=spec.mel_bins,
        frame_shift=recipe.frame_shift_ms,
        window_type="hanning",
        htk_compat=True,
        use_energy=False,
        dither=0.0,
    )
    mel = (mel - recipe.mean) / (2 * recipe.std)
    mel = functional.pad(mel, (0, 0, 0, max(0, spec.frames - mel.shape[0])))[: spec.frames]
    return mel.expand(spec.channels, -1, -1)


@stage("spectrograms")
def audio_segments(
    waveform: Tensor,
    rate: int,
    recipe: AudioRecipe,
    spec: AudioSpec,
    segments: int,
    *,
    starts: Sequence[float] | None = None,
) -> Tensor:
    """Cut a file into the segments that go with its frames, in the form an encoder eats.

    A file shorter than one segment and its margin is padded with silence at its end first.

    Args:
        waveform: (S,) the whole file.
        rate: Its rate in Hz.
        recipe: Length of a segment and how spectrograms are made. A waveform encoder has its own sample rate
            and takes only the length from it.
        spec: What the encoder eats.
        segments: T.
        starts: Seconds at which the T segments begin; one that would go past the end begins so much earlier. None:
            evenly spread, see ``segment_starts``.

    Returns:
        (T, channels, frames, mel_bins), or (T, samples) for a waveform encoder: each segment repeated until it fills
        ``spec.samples``, and cut there.
    """
    target = spec.sample_rate if isinstance(spec, WaveformSpec) else recipe.sample_rate
    waveform = resample(waveform, rate, target)
    if isinstance(spec, SpectrogramSpec):
        waveform = waveform - waveform.mean()
    window = math.ceil(target * (recipe.seconds + MARGIN))
    waveform = functional.pad(waveform, (0, max(0, window - waveform.shape[0])))

    length = round(target * recipe.seconds)
    if starts is None:
        begins = segment_starts(waveform.shape[0], target, recipe.seconds, segments)
    else:
        begins = [min(round(start * target), waveform.shape[0] - length) for start in starts]
    parts = [waveform[begin : begin + length] for begin in begins]
    if isinstance(spec, SpectrogramSpec):
        single = replace(spec, channels=1)
        mels = torch.stack([log_mel(part, recipe, single) for part in parts])
        return mels.expand(-1, spec.channels, -1, -1)  # collation copies it in any case
    # Such encoders are trained on clips of fixed length, and take a short sound for a clip that repeats it (DG-SCT).
    return torch.stack([part.repeat(math.ceil(spec.samples / length))[: spec.samples] for part in parts])


def resample(waveform: Tensor, rate: int, target: int) -> Tensor:
    """A waveform (S,) of ``rate`` Hz at ``target`` Hz."""
    if rate == target:
        return waveform
    from torchaudio import functional as audio

    resampled: Tensor = audio.resample(waveform, rate, target)
    return resampled


def _reading(path: Path, read: Callable[[], Any]) -> Any:
    """What ``read`` returns.

    Raises:
        DataError: It can't, or the file is cut short.
    """
    if not path.is_file():
        reason = "it is a folder, not a sound file" if path.is_dir() else "no such file"
        raise DataError(f"cannot read audio {path}: {reason}; {_HINT}")
    try:
        result = read()
        shortage = _missing_bytes(path)
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot read audio {path}: {_reason(error)}; {_HINT}") from error
    if shortage:
        raise DataError(f"cannot read audio {path}: the file is cut short by {shortage} bytes; {_HINT}")
    return result


def _missing_bytes(path: Path) -> int:
    """Bytes by which a RIFF file is shorter than its header says; libsndfile reads such a file without a word."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return 0 if length in _UNKNOWN_LENGTHS else max(0, file.tell() + length - size)
            file.seek(length + length % 2, 1)
    return 0


def _reason(error: Exception) -> str:
    """Words of libsndfile, without the path it repeats."""
    return str(getattr(error, "error_string", "") or getattr(error, "strerror", "") or error).rstrip(".")
