"""Data set: AVE."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from copl_ave.contents import contents
from copl_ave.index import SECONDS, load_index
from copl_core.api import ConfigError, DataError
from copl_core.contracts import AudioSpec, Contents, Dataset, Names, Sample, WaveformSpec
from copl_core.data import (
    AudioRecipe,
    Durations,
    MediaFolder,
    MediaLayout,
    MissingAudio,
    OnError,
    Problem,
    Sampling,
    audio_segments,
    in_order,
    settle,
    to_input,
)

#: LAVISH extracts frames at this rate.
FPS = 3.0

_log = logging.getLogger("copl")

# Seconds by which a sound may end early untold: the official segments end that much before the tenth second.
_UNTOLD = 0.1


class AVE(Dataset):
    """The clips of one split of AVE (Tian et al. 2018): ten seconds with one event, labelled second by second.

    The labels come from ``Annotations.txt`` and the lists of the splits, and so do the classes: any data set in this
    form will do, whatever its events are.

    Args:
        root: The folder that holds ``Annotations.txt`` and ``trainSet.txt``, ``valSet.txt``, ``testSet.txt``, or one of
            its parents.
        split: ``train``, ``val`` or ``test``.
        audio: How the sound becomes spectrograms.
        media: The folder of the videos, or of a prepared cache. None: the folder of the lists.
        layout: How the videos lie there; ``auto`` finds out.
        videos: Folders in which raw videos may lie, seen from ``media``.
        fps: Rate at which frames are taken to have been extracted from raw videos before the official sampling picks
            ten of them; LAVISH extracts at 3.
        sampling: ``official``: frames and segments spread evenly from the clip's start to its end, as LAVISH does;
            ``seconds``: the middle frame and the sound of each second. Waveform encoders hear each second in either
            case, as DG-SCT does.
        tolerance: Seconds by which pictures and sound may be shorter or longer than ten. ``seconds`` takes the first
            ten of longer ones, whatever their length.
        missing_audio: ``silence`` lets clips pass that have no sound, or less than ten seconds: silence follows.
        on_error: ``skip`` leaves clips with problems out; ``refuse`` tells all of them and stops.

    Attributes:
        clips: The clips.
        media: Where their pictures and sounds come from.
        skipped: What was left out.

    Raises:
        DataError: A list is missing or malformed, or a clip can't be used.
    """

    def __init__(
        self,
        *,
        root: Path,
        split: str,
        audio: AudioRecipe,
        media: Path | None = None,
        layout: MediaLayout = "auto",
        videos: Sequence[str] = ("AVE", "videos"),
        fps: float = FPS,
        sampling: Sampling = "official",
        tolerance: float = 1.0,
        missing_audio: MissingAudio = "refuse",
        on_error: OnError = "refuse",
    ) -> None:
        if not tolerance > 0:
            raise ConfigError(f"dataset.tolerance is {tolerance!r}: must be more than 0 s")
        self.recipe = audio
        self.on_error = on_error
        self.sampling = sampling
        self.tolerance = tolerance
        index = load_index(root, split)
        self._folder = index.folder
        self._classes = index.classes
        self._contents = contents(index, split)
        try:
            self.media = MediaFolder(
                root=index.folder if media is None else media,
                layout=layout,
                videos=videos,
                fps=fps,
                sampling=sampling,
                downmix=audio.downmix,
                missing_audio=missing_audio,
            )
        except DataError as error:
            where = f"the lists are in {index.folder}; if the videos are elsewhere, set task.dataset.media"
            raise DataError(f"data set AVE: {error}\n{where}") from error
        if self.media.pieces and audio.seconds > 1:
            raise ConfigError(
                f"dataset.audio.seconds is {audio.seconds:g}, but {self.media.root} holds sound second by second: "
                "set it to 1"
            )
        # Some videos have two rows.
        names = dict.fromkeys(clip.event.name for clip in index.clips)
        broken = {name: self.media.problem(name, self._misfit) for name in names}
        self.clips = [clip for clip in index.clips if broken[clip.event.name] is None]
        found = [Problem(clip.where, what) for clip in index.clips if (what := broken[clip.event.name]) is not None]
        self.skipped = in_order([*index.problems, *found])
        what = f"split {split!r} of AVE"
        settle(self.skipped, what, left=len(self.clips), on_error=on_error, contents=self._contents)
        self._told: set[str] = set()

    @property
    def names(self) -> Names:
        """``classes``: names by class number, background last."""
        return {"classes": self._classes}

    @property
    def contents(self) -> Contents:
        """What the lists hold."""
        return self._contents

    def describe(self) -> str:
        """Where lists and media were found."""
        return f"lists in {self._folder}; {self.media.describe()}"

    def where(self, index: int) -> str:
        """File and line of a clip, and its name."""
        return f"{self.clips[index].where} ({self.clips[index].event.name})"

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample:
        """Read one clip.

        Returns:
            ``name``; ``category``, its event; ``visual`` (10, 3, H, W); ``audio`` (10, ...); ``label`` (10,) int64, the
            class of each second.

        Raises:
            DataError: A file can't be read; the message names it.
        """
        image_spec, audio_spec = self.specs
        clip = self.clips[index]
        return {
            "name": clip.event.name,
            "category": clip.event.category,
            "visual": to_input(self.pictures(index), image_spec),
            "audio": segments(
                *self._sound(clip.event.name),
                recipe=self.recipe,
                spec=audio_spec,
                sampling="seconds" if self.media.pieces else self.sampling,
            ),
            **self.labels(index),
        }

    def pictures(self, index: int) -> list[Image.Image]:
        """The ten frames of a clip as they lie on disk, for rendering."""
        return self.media.clip(self.clips[index].event.name).frames(SECONDS)

    def sound(self, index: int) -> tuple[Tensor, int]:
        """The sound of a clip."""
        return self._sound(self.clips[index].event.name)

    def labels(self, index: int) -> Sample:
        """``label`` (10,), the class of each second."""
        return {"label": torch.tensor(self.clips[index].labels)}

    def _misfit(self, found: Durations) -> str | None:
        """What is wrong with a video of these durations, or None."""
        least = SECONDS - self.tolerance
        most = SECONDS + self.tolerance if self.sampling == "official" else math.inf
        # Official sampling takes extracted frames at whatever rate they were extracted.
        timed = self.sampling == "seconds" or not self.media.extracted
        sound = found.sound
        if timed and found.pictures < least:
            return _told("pictures", found.pictures, "raise task.dataset.tolerance")
        if timed and found.pictures > most:
            return _told("pictures", found.pictures, "set sampling: seconds, which takes the first of them")
        if sound is None or (sound < least and self.media.missing_audio == "silence"):
            return None
        if sound < least:
            return _told("sound", sound, "set missing_audio: silence to fill it up")
        if sound > most:
            return _told("sound", sound, "set sampling: seconds, which takes the first of it")
        return None

    def _sound(self, name: str) -> tuple[Tensor, int]:
        """The waveform of a clip and its rate."""
        waveform, rate = self.media.clip(name).sound()
        missing = SECONDS * rate - waveform.shape[0]
        if missing > _UNTOLD * rate and name not in self._told:
            self._told.add(name)
            seconds = waveform.shape[0] / rate
            _log.warning("AVE: sound of %s ends after %.2f s; silence fills the %d s", name, seconds, SECONDS)
        return waveform, rate


def _told(what: str, seconds: float, remedy: str) -> str:
    return f"{seconds:.1f} s of {what}, but the labels are of {SECONDS}: cut it anew, leave it out, or {remedy}"


def segments(waveform: Tensor, rate: int, *, recipe: AudioRecipe, spec: AudioSpec, sampling: Sampling) -> Tensor:
    """The ten segments (10, ...) of a clip's sound, silence added up to ten seconds.

    The labels are of fixed seconds. Without the padding a sound that ends early would be spread over all of them.
    Waveform encoders hear second by second in any case.

    Args:
        waveform: (S,).
        rate: Its rate in Hz.
        recipe: How the sound becomes spectrograms.
        spec: What the encoder eats.
        sampling: See ``AVE``.
    """
    waveform = functional.pad(waveform, (0, max(0, SECONDS * rate - waveform.shape[0])))
    if sampling == "official" and not isinstance(spec, WaveformSpec):
        return audio_segments(waveform, rate, recipe, spec, SECONDS)
    # DG-SCT cuts seconds for its waveform encoder.
    return audio_segments(waveform, rate, recipe, spec, SECONDS, starts=range(SECONDS))
