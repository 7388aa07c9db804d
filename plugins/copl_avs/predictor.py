"""Predictor: masks of what sounds in any video."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from copl_avs.dataset import segments
from copl_avs.index import FRAMES
from copl_avs.masks import resize_mask
from copl_avs.renderer import PREDICTION, draw_seconds, outline_of, tint
from copl_core.api import DataError
from copl_core.contracts import AudioSpec, ImageSpec, Prediction, Predictor, Run, Sample
from copl_core.data import AudioRecipe, Recording, Window, draw_sound, redraw_video, to_input

#: Place of a second's picture in it: AVSBench takes the last of sixteen.
PLACE = 15 / 16
_NEARLY = 0.5  # seconds by which a clip may be short
_SOUND_SIZE = (160, 80)  # pixels of a second's spectrogram before it is scaled into the sheet
#: Seconds on the sheet, spread evenly over a longer video.
SHOWN = 10


@dataclass(frozen=True)
class Mask:
    """The mask of one second.

    Attributes:
        time: Of the picture the model saw, in seconds.
        share: Of the picture that it covers, 0 to 1.
        png: The mask (S, S) as a PNG of one bit a pixel: a long video has thousands.
    """

    time: float
    share: float
    png: bytes

    @classmethod
    def of(cls, time: float, mask: Tensor) -> "Mask":
        """From (S, S) of 0 and 1."""
        buffer = io.BytesIO()
        resize_mask(mask, (mask.shape[1], mask.shape[0])).save(buffer, format="PNG")
        return cls(time, float(mask.float().mean()), buffer.getvalue())

    def picture(self, size: tuple[int, int]) -> Image.Image:
        """The mask at the size (width, height) of a picture, of mode "1"."""
        small = Image.open(io.BytesIO(self.png)).convert("L")
        return small.resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value > 127)).convert("1")


class MaskPrediction(Prediction):
    """A mask for each second of a video.

    Args:
        recording: The video.
        masks: One after the other.
    """

    def __init__(self, recording: Recording, masks: Sequence[Mask]) -> None:
        self.recording = recording
        self.masks = masks

    def to_json(self) -> dict[str, Any]:
        """``masks``: time, file and share of the picture of each."""
        return {
            "video": self.recording.path.name,
            "seconds": round(self.recording.seconds, 3),
            "overlay": "overlay.mp4",
            "masks": [
                {"time": round(mask.time, 4), "file": f"masks/{_name(number)}", "share": round(mask.share, 4)}
                for number, mask in enumerate(self.masks, start=1)
            ],
        }

    def summary(self) -> str:
        """One line."""
        marked = [mask.share for mask in self.masks if mask.share]
        mean = sum(marked) / max(1, len(marked))
        return f"  something sounds in {len(marked)} of {len(self.masks)} pictures, on {mean:.0%} of each on average"

    def draw(self, folder: Path) -> list[Path]:
        """``overlay.mp4``, the video with its masks and its sound; ``masks.png``, some seconds; ``masks/``, all."""
        overlay, sheet = folder / "overlay.mp4", folder / "masks.png"
        stencil = lru_cache(maxsize=1)(self._stencil)  # the pictures of a second share it

        def paint(picture: Image.Image, time: float) -> Image.Image:
            mask, outline = stencil(self._next_in_time(time), picture.size)
            return tint(picture, mask, PREDICTION, outline)

        redraw_video(self.recording.path, overlay, paint)
        self._sheet().save(sheet)
        (folder / "masks").mkdir(exist_ok=True)
        size = self.recording.frames([0.0])[0].size
        paths = []
        for number, mask in enumerate(self.masks, start=1):
            paths.append(folder / "masks" / _name(number))
            mask.picture(size).save(paths[-1])
        return [overlay, sheet, *paths]

    def _next_in_time(self, time: float) -> int:
        """Which mask belongs to a picture of the video."""
        # Masks are a second apart.
        return max(0, min(round(time - self.masks[0].time), len(self.masks) - 1))

    def _stencil(self, number: int, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
        """A mask at a size, and its outline."""
        mask = self.masks[number].picture(size)
        return mask, outline_of(mask)

    def _sheet(self) -> Image.Image:
        places = np.linspace(0, len(self.masks) - 1, min(SHOWN, len(self.masks))).round().astype(int)
        masks = [self.masks[place] for place in places]
        windows = [Window(float(int(mask.time)), 1.0) for mask in masks]
        pictures = self.recording.frames([mask.time for mask in masks])
        return draw_seconds(
            f"{self.recording.path.name}   {self.recording.seconds:.1f} s",
            pictures,
            masks=[mask.picture(picture.size) for mask, picture in zip(masks, pictures, strict=True)],
            sounds=[draw_sound(waveform, rate, _SOUND_SIZE) for waveform, rate in self.recording.sounds(windows)],
            times=[mask.time for mask in masks],
        )


class MaskPredictor(Predictor):
    """Marks what sounds, a mask a second, five seconds at a time.

    Pictures are those that AVSBench takes of its videos. The last window of a long video reaches back into the one
    before; of a video shorter than five seconds, the last picture and silence fill the rest.

    Args:
        audio: How the sound becomes spectrograms.
        image_spec: What the visual encoder eats.
        audio_spec: What the audio encoder eats.
    """

    def __init__(self, *, audio: AudioRecipe, image_spec: ImageSpec, audio_spec: AudioSpec) -> None:
        self.recipe = audio
        self.image_spec = image_spec
        self.audio_spec = audio_spec

    def predict(self, path: Path, run: Run, question: str | None) -> MaskPrediction:
        """Find the masks of a video."""
        if question is not None:
            raise DataError("this model draws masks and answers no questions: leave the question out")
        recording = Recording(path, downmix=self.recipe.downmix)
        windows = recording.windows(FRAMES)
        # All is silent or the first sound ends the search: a mute hour is refused now, not after its last window.
        any(waveform.any() for waveform, _ in recording.sounds(windows))
        end = max(1, int(recording.seconds + 0.5))
        masks: list[Mask] = []
        for window, output in zip(windows, run(self._samples(recording, windows), len(windows)), strict=True):
            # The threshold of the metric.
            found = output["logits"][:, 0].sigmoid() > 0.5
            for step in range(int(window.seen), FRAMES):
                if window.start + step < end:
                    masks.append(Mask.of(window.start + step + PLACE, found[step]))
        return MaskPrediction(recording, masks)

    def _samples(self, recording: Recording, windows: Sequence[Window]) -> Iterator[Sample]:
        for window, (waveform, rate) in zip(windows, recording.sounds(windows), strict=True):
            # Filled up or cut to the full length. A clip of the data set may be some hundredths short: it stays.
            if window.seconds < FRAMES - _NEARLY:
                waveform = functional.pad(waveform, (0, FRAMES * rate - len(waveform)))
            times = [window.start + step + PLACE for step in range(FRAMES)]
            yield {
                "name": recording.path.name,
                "visual": to_input(recording.frames(times), self.image_spec),
                "audio": segments(waveform, rate, recipe=self.recipe, spec=self.audio_spec),
            }


def _name(number: int) -> str:
    return f"{number:05d}.png"
