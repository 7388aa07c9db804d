"""Data set: AVSBench S4."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from copl_avs.index import FRAMES, Clip, load_index
from copl_avs.masks import read_mask
from copl_core.api import DataError
from copl_core.contracts import AudioSpec, Dataset, ImageSpec, Sample
from copl_core.data import AudioRecipe, audio_segments, read_image, read_wav, to_input


class AvsS4(Dataset):
    """The clips of one split of AVSBench S4, in the official layout.

    Args:
        root: The folder that holds ``s4_meta_data.csv`` (``Single-source``), or one of its parents.
        split: ``train``, ``val`` or ``test``.
        audio: How the sound becomes spectrograms.
        sound: ``own``; or ``other``: each clip is heard with the sound of the next clip of another category. A model
            that scores as well with it does not listen.

    Raises:
        DataError: A file is missing or the list of clips is malformed.
    """

    def __init__(self, *, root: str, split: str, audio: AudioRecipe, sound: Literal["own", "other"] = "own") -> None:
        self.recipe = audio
        self.clips: list[Clip] = load_index(root, split)
        self.sounds = [clip.sound for clip in self.clips]
        if sound == "other":
            self.sounds = [_sound_of_another(self.clips, index) for index in range(len(self.clips))]
        self._specs: tuple[ImageSpec, AudioSpec] | None = None

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def bind(self, image: ImageSpec, audio: AudioSpec) -> None:
        """Set the input format; called once before the first sample is read."""
        self._specs = image, audio

    def __getitem__(self, index: int) -> Sample:
        """Read one clip.

        Returns:
            ``name``, ``category``; ``visual`` (5, 3, H, W); ``audio`` (5, ...); ``mask`` (5, 1, h, w) of 0 and 1,
            all 0 where there is none; ``mask_valid`` (5,), True where there is one: frame 1 in the training split.

        Raises:
            DataError: A file can't be read; the message names it.
        """
        if self._specs is None:
            raise RuntimeError("bind() the data set to its encoders before reading from it")
        image_spec, audio_spec = self._specs
        clip = self.clips[index]
        waveform, rate = read_wav(self.sounds[index], self.recipe.downmix)
        mask, valid = _read_masks(clip)
        return {
            "name": clip.name,
            "category": clip.category,
            "visual": to_input(self.pictures(index), image_spec),
            "audio": audio_segments(waveform, rate, self.recipe, audio_spec, FRAMES),
            "mask": mask,
            "mask_valid": valid,
        }

    def pictures(self, index: int) -> list[Image.Image]:
        """The five frames of a clip as they lie on disk, for rendering."""
        return [read_image(path) for path in self.clips[index].frames]


def _sound_of_another(clips: Sequence[Clip], index: int) -> Path:
    """The sound of the first clip after ``index``, going round, whose category differs."""
    for other in (*clips[index + 1 :], *clips[:index]):
        if other.category != clips[index].category:
            return other.sound
    raise DataError(f"sound: other needs clips of two categories, all {len(clips)} are {clips[index].category!r}")


def _read_masks(clip: Clip) -> tuple[Tensor, Tensor]:
    """Masks (5, 1, h, w) and which of them exist (5,)."""
    masks = [read_mask(path) for path in clip.masks]
    for path, mask in zip(clip.masks, masks, strict=True):
        if mask.shape != masks[0].shape:
            sizes = " and ".join(f"{m.shape[1]}x{m.shape[2]}" for m in (masks[0], mask))
            raise DataError(f"masks of one clip differ in size: {clip.masks[0]} and {path} are {sizes}")
    valid = torch.arange(FRAMES) < len(masks)
    masks += [torch.zeros_like(masks[0])] * (FRAMES - len(masks))
    return torch.stack(masks), valid
