"""Extracted frames and sound on disk, and what a media folder tells of its clips."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from copl_core.api import DataError
from copl_core.data import Clip, MediaFolder
from video_files import number_of, numbered, tone

NAME = "-kTl0Vo3x7I"


def pictures(folder: Path, count: int, pattern: str = "{:04d}.png") -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.fromarray(numbered(number)).save(folder / pattern.format(number))


def wav(path: Path, seconds: float = 3.0, rate: int = 16000) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(rate, seconds)[0]
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return samples


def lavish(root: Path, count: int = 30) -> Path:
    pictures(root / "video_frames" / NAME, count)
    wav(root / "raw_audio" / f"{NAME}.wav")
    return root


def numbers(media: MediaFolder, count: int, name: str = NAME) -> list[int]:
    frames = media.clip(name).frames(count)
    assert all(frame.mode == "RGB" for frame in frames)
    return [number_of(frame) for frame in frames]


def read(clip: Clip) -> None:
    clip.frames(4)
    clip.sound()


def problem_told(media: MediaFolder, name: str = NAME) -> str:
    """What ``problem`` tells; reading the clip has to fail with the same words."""
    told = media.problem(name)
    assert told is not None
    with pytest.raises(DataError) as caught:
        read(media.clip(name))
    assert str(caught.value).split(";")[0] == told.split(";")[0]
    return told
