"""Writes generated scenes in the layout of AVSBench-S4, so that they are read by the code that reads the real thing.

OUT/s4_meta_data.csv                                                         name,start,category,split
OUT/s4_data/visual_frames/<split>/<category>/<name>/<name>_{1..5}.png        RGB, one a second
OUT/s4_data/audio_wav/<split>/<category>/<name>.wav                          16 kHz, mono, 16 bit, 5 s
OUT/s4_data/gt_masks/<split>/<category>/<name>/<name>_{1..5}.png             bilevel; train has only _1
OUT/copl_synth.json                                                          the settings it was made with
"""

import csv
import os
import wave
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from copl_synth.classes import CLASSES
from copl_synth.draw import REFERENCE_SIZE
from copl_synth.folder import SPLITS, for_each, require_at_least, write_folder
from copl_synth.scenes import FRAMES, render_scene
from copl_synth.sounds import SAMPLE_RATE, synthesize

STREAM = 0xA55
"""First word of every clip's seed; `images.STREAM` is another."""

VERSION = 1
"""Raised whenever equal settings give other files than before."""


@dataclass(frozen=True, kw_only=True)
class AvsSettings:
    """What determines every byte of the data set.

    Attributes:
        train: Clips of split train.
        val: Clips of split val.
        test: Clips of split test.
        seed: Seed of everything random.
        size: Height and width of frames and masks in pixels.
        version: Version of the generator.
    """

    train: int = 1000
    val: int = 64
    test: int = 96
    seed: int = 0
    size: int = REFERENCE_SIZE
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuses settings no data set can have."""
        require_at_least(self, train=0, val=0, test=0, seed=0, size=32)


def write_avs(out: str | os.PathLike[str], settings: AvsSettings | None = None, *, workers: int = 1) -> bool:
    """Writes the data set, or nothing if it is already there.

    All is written to a sibling folder that takes the name `out` at the very end: `out` is complete or absent.

    Args:
        out: Folder to create.
        settings: What to write; the defaults of `AvsSettings` if None.
        workers: Processes to share the work; more than one calls for an importable `__main__`.

    Returns:
        Whether it was written; False if `out` already held it.

    Raises:
        OutputConflictError: `out` exists and is not this data set.
    """
    settings = settings or AvsSettings()
    return write_folder(out, asdict(settings), partial(_write_all, settings=settings, workers=workers))


def _write_all(root: Path, *, settings: AvsSettings, workers: int) -> None:
    """Writes every file below `root`."""
    clips = [(split, index) for split in SPLITS for index in range(getattr(settings, split))]
    with (root / "s4_meta_data.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", "start", "category", "split"))
        table.writerows((_name(split, index), 0, CLASSES[_class_of(index)].name, split) for split, index in clips)
    for_each(partial(_write_clip, root, settings), clips, workers=workers)


def _write_clip(root: Path, settings: AvsSettings, clip: tuple[str, int]) -> None:
    """Writes the frames, masks and sound of one clip, (split, index)."""
    split, index = clip
    name, kind = _name(split, index), _class_of(index)
    rng = np.random.default_rng((STREAM, settings.seed, SPLITS.index(split), index))
    scene = render_scene(rng, sounding_class=kind, size=settings.size)
    samples = synthesize(CLASSES[kind].sound, rng)

    branch = Path(split) / CLASSES[kind].name
    frames, masks = (root / "s4_data" / kind_of_file / branch / name for kind_of_file in ("visual_frames", "gt_masks"))
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    for step in range(FRAMES):
        Image.fromarray(scene.frames[step]).save(frames / f"{name}_{step + 1}.png")
        if step == 0 or split != "train":
            mask = Image.fromarray(scene.masks[step].astype(np.uint8) * 255)
            mask.convert("1", dither=Image.Dither.NONE).save(masks / f"{name}_{step + 1}.png")
    sound = root / "s4_data" / "audio_wav" / branch / f"{name}.wav"
    sound.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(samples.itemsize)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def _class_of(index: int) -> int:
    """Class of a split's clip: all in turn, so that any number of clips is balanced."""
    return index % len(CLASSES)


def _name(split: str, index: int) -> str:
    return f"{split}_{index:04d}"
