"""What a backbone eats. The data pipeline builds its transforms from this, so a new backbone needs no data code."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: The two streams.
Modality: TypeAlias = Literal["visual", "audio"]


@dataclass(frozen=True)
class ImageSpec:
    """An RGB image (3, height, width), scaled to [0, 1], then ``(x - mean) / std`` per channel."""

    height: int
    width: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class SpectrogramSpec:
    """A log-mel spectrogram (channels, frames, mel_bins), time first, its one channel repeated.

    The size belongs to the encoder. Window length, hop and normalisation belong to the experiment (they differ per
    task for one encoder, see the audio recipe of a data set).
    """

    frames: int
    mel_bins: int
    channels: int = 3


@dataclass(frozen=True)
class WaveformSpec:
    """A mono waveform (samples,) in [-1, 1] at ``sample_rate`` Hz."""

    sample_rate: int
    samples: int


AudioSpec: TypeAlias = SpectrogramSpec | WaveformSpec


@dataclass(frozen=True)
class InputSpec:
    """Inputs a backbone accepts as a visual encoder (``image``) and as an audio encoder (``audio``)."""

    image: ImageSpec | None = None
    audio: AudioSpec | None = None
