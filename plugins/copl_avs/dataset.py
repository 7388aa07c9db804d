"""Data sets: AVSBench S4 and MS3."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from copl_avs.files import look_at
from copl_avs.index import FRAMES, MS3, S4, Clip, Subset, load_index
from copl_avs.masks import read_mask
from copl_core.api import ConfigError, DataError
from copl_core.contracts import AudioSpec, Contents, Count, Dataset, Row, Sample, WaveformSpec
from copl_core.data import (
    AudioRecipe,
    MissingAudio,
    OnError,
    Problem,
    audio_segments,
    in_order,
    read_image,
    read_wav,
    settle,
    to_input,
)


class AvsS4(Dataset):
    """The clips of one split of AVSBench S4 (single source), in the official layout.

    Args:
        root: The folder that holds ``s4_meta_data.csv`` (``Single-source``), or one of its parents.
        split: ``train``, ``val`` or ``test``.
        audio: How the sound becomes spectrograms.
        sound: ``own``; or ``other``: each clip is heard with the sound of the next clip of another category. A model
            that scores as well with it does not listen.
        tolerance: Seconds by which sound may be shorter or longer than five.
        missing_audio: ``silence`` lets clips pass that have no sound, or too little: silence follows.
        on_error: ``skip`` leaves clips with problems out; ``refuse`` tells all of them and stops.

    Attributes:
        clips: Those that can be used.
        mask_size: Width and height of their masks.
        skipped: What was left out.

    Raises:
        DataError: The list of clips is missing or malformed, or a clip can't be used.
    """

    subset: ClassVar[Subset] = S4

    def __init__(
        self,
        *,
        root: Path,
        split: str,
        audio: AudioRecipe,
        sound: Literal["own", "other"] = "own",
        tolerance: float = 1.0,
        missing_audio: MissingAudio = "refuse",
        on_error: OnError = "refuse",
    ) -> None:
        if not tolerance > 0:
            raise ConfigError(f"dataset.tolerance is {tolerance!r}: must be more than 0 s")
        self.recipe = audio
        self.on_error = on_error
        self.tolerance = tolerance
        self.missing_audio = missing_audio
        self.index = load_index(root, split, self.subset)
        look = look_at(self.index.clips, tolerance=tolerance, silence=missing_audio == "silence")
        self.mask_size = look.mask_size
        self.clips: list[Clip] = [clip for clip in self.index.clips if clip not in look.broken]
        found = [Problem(clip.where, look.broken[clip]) for clip in self.index.clips if clip in look.broken]
        self.skipped = in_order([*self.index.problems, *found])
        what = f"split {split!r} of AVSBench {self.subset.name}"
        self._contents = Contents(
            rows=[Row(clip.where, clip.name, clip.name) for clip in self.index.clips],
            counts={
                "clips": Count(len(self.index.clips), self.subset.clips[split]),
                "masks": Count(sum(len(clip.masks) for clip in self.index.clips)),
            },
        )
        settle(self.skipped, what, left=len(self.clips), on_error=on_error, contents=self._contents)
        self.sounds = [clip.sound for clip in self.clips]
        if sound == "other":
            self.sounds = [_sound_of_another(self.clips, index) for index in range(len(self.clips))]

    @property
    def contents(self) -> Contents:
        """What the list of clips holds."""
        return self._contents

    def describe(self) -> str:
        """Where list and files were found."""
        return f"AVSBench {self.subset.name} in {self.index.file.parent}"

    def where(self, index: int) -> str:
        """File and line of a clip, and its name."""
        return f"{self.clips[index].where} ({self.clips[index].name})"

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample:
        """Read one clip.

        Returns:
            ``name``, ``category``; ``visual`` (5, 3, H, W); ``audio`` (5, ...); ``mask`` (5, 1, h, w) of 0 and 1,
            all 0 where there is none; ``mask_valid`` (5,), True where there is one: frame 1 in the training split of
            S4.

        Raises:
            DataError: A file can't be read; the message names it.
        """
        image_spec, audio_spec = self.specs
        clip = self.clips[index]
        waveform, rate = self.sound(index)
        mask, valid = _read_masks(clip)
        return {
            "name": clip.name,
            "category": clip.category,
            "visual": to_input(self.pictures(index), image_spec),
            "audio": segments(waveform, rate, recipe=self.recipe, spec=audio_spec),
            "mask": mask,
            "mask_valid": valid,
        }

    def labels(self, index: int) -> Sample:
        """``painted`` (n,) float64, the share of each of the clip's n masks that is foreground."""
        mask, valid = _read_masks(self.clips[index])
        return {"painted": mask[valid].flatten(1).double().mean(1)}

    def pictures(self, index: int) -> list[Image.Image]:
        """The five frames of a clip as they lie on disk, for rendering."""
        return [read_image(path) for path in self.clips[index].frames]

    def sound(self, index: int) -> tuple[Tensor, int]:
        """The sound that the model hears with a clip."""
        path, silence = self.sounds[index], self.missing_audio == "silence"
        if silence and not path.exists():
            return torch.zeros(FRAMES * self.recipe.sample_rate), self.recipe.sample_rate
        waveform, rate = read_wav(path, self.recipe.downmix)
        if silence and waveform.shape[0] < (FRAMES - self.tolerance) * rate:
            waveform = functional.pad(waveform, (0, FRAMES * rate - waveform.shape[0]))
        return waveform, rate


class AvsMs3(AvsS4):
    """The clips of one split of AVSBench MS3 (multiple sources), in the official layout.

    Args:
        root: The folder that holds ``ms3_meta_data.csv`` (``Multi-sources``), or one of its parents.
        split: ``train``, ``val`` or ``test``.
        audio: How the sound becomes spectrograms.
        tolerance: Seconds by which sound may be shorter or longer than five.
        missing_audio: ``silence`` lets clips pass that have no sound, or too little: silence follows.
        on_error: ``skip`` leaves clips with problems out; ``refuse`` tells all of them and stops.

    Raises:
        DataError: The list of clips is missing or malformed, or a clip can't be used.
    """

    subset = MS3

    def __init__(
        self,
        *,
        root: Path,
        split: str,
        audio: AudioRecipe,
        tolerance: float = 1.0,
        missing_audio: MissingAudio = "refuse",
        on_error: OnError = "refuse",
    ) -> None:
        super().__init__(
            root=root, split=split, audio=audio, tolerance=tolerance, missing_audio=missing_audio, on_error=on_error
        )


def segments(waveform: Tensor, rate: int, *, recipe: AudioRecipe, spec: AudioSpec) -> Tensor:
    """The five segments (5, ...) of a clip's sound: evenly spread (LAVISH), for waveform encoders by seconds (DG-SCT).

    Args:
        waveform: (S,).
        rate: Its rate in Hz.
        recipe: How the sound becomes spectrograms.
        spec: What the encoder eats.
    """
    starts = range(FRAMES) if isinstance(spec, WaveformSpec) else None
    return audio_segments(waveform, rate, recipe, spec, FRAMES, starts=starts)


def _sound_of_another(clips: Sequence[Clip], index: int) -> Path:
    """The sound of the first clip after ``index``, going round, whose category differs."""
    for other in (*clips[index + 1 :], *clips[:index]):
        if other.category != clips[index].category:
            return other.sound
    raise DataError(f"sound: other needs clips of two categories, all {len(clips)} are {clips[index].category!r}")


def _read_masks(clip: Clip) -> tuple[Tensor, Tensor]:
    """Masks (5, 1, h, w) and which of them exist (5,)."""
    masks = [read_mask(path) for path in clip.masks]
    valid = torch.arange(FRAMES) < len(masks)
    masks += [torch.zeros_like(masks[0])] * (FRAMES - len(masks))
    return torch.stack(masks), valid
