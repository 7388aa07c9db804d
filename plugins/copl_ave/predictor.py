"""Predictor: which events happen when in any video."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from copl_ave.dataset import FPS, segments
from copl_ave.index import SECONDS
from copl_ave.labels import class_name
from copl_ave.timeline import Row, draw_timeline, timeline_frame
from copl_core.api import DataError
from copl_core.contracts import AudioSpec, Finding, ImageSpec, Names, Prediction, Predictor, Run, Sample
from copl_core.data import AudioRecipe, Recording, Sampling, Window, draw_sound, frame_times, to_input

#: Rows of ten seconds on a page.
ROWS = 6
_SOUND_SIZE = (1280, 80)  # pixels of the spectrogram of ten seconds


@dataclass(frozen=True)
class Second:
    """One second of a video.

    Attributes:
        start: Where it begins, in seconds.
        end: Where it ends.
        frame: Time of the picture the model saw.
        probabilities: (C,), background last.
    """

    start: float
    end: float
    frame: float
    probabilities: Tensor

    @property
    def number(self) -> int:
        """The likeliest class."""
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())


class EventPrediction(Prediction):
    """The class of each second of a video, and the events they make.

    Args:
        recording: The video.
        seconds: One after the other.
        names: ``classes``, the names by class number.
    """

    def __init__(self, recording: Recording, seconds: Sequence[Second], names: Names) -> None:
        self.recording = recording
        self.seconds = seconds
        self.names = names

    def events(self) -> list[dict[str, Any]]:
        """Runs of seconds of one class but background, with its mean probability as ``confidence``."""
        found = []
        for number, group in itertools.groupby(self.seconds, key=lambda second: second.number):
            run = list(group)
            if number == len(run[0].probabilities) - 1:
                continue
            confidence = sum(second.confidence for second in run) / len(run)
            found.append(
                {
                    "start": run[0].start,
                    "end": round(run[-1].end, 3),
                    "class": class_name(number, self.names),
                    "confidence": round(confidence, 4),
                }
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """``events``, and under ``timeline`` each second with its three likeliest classes."""
        return {
            "video": self.recording.path.name,
            "seconds": round(self.recording.seconds, 3),
            "events": self.events(),
            "timeline": [self._row(second) for second in self.seconds],
        }

    def summary(self) -> str:
        """One line an event."""
        lines = [
            f"  {event['start']:6.1f} to {event['end']:.1f} s  {event['class']}  {event['confidence']:.0%}"
            for event in self.events()
        ]
        return "\n".join(lines) or "  no event: background throughout"

    def findings(self) -> list[Finding]:
        """The events."""
        return [Finding(event["class"], event["confidence"], (event["start"], event["end"])) for event in self.events()]

    def draw(self, folder: Path) -> list[Path]:
        """``timeline.png``, or ``timeline-01.png`` and so on, a minute each."""
        pages = [self.seconds[start : start + ROWS * SECONDS] for start in range(0, len(self.seconds), ROWS * SECONDS)]
        sounds = self._sounds()
        paths = []
        for number, page in enumerate(pages, start=1):
            path = folder / ("timeline.png" if len(pages) == 1 else f"timeline-{number:02d}.png")
            self._page(page, sounds).save(path)
            paths.append(path)
        return paths

    def _row(self, second: Second) -> dict[str, Any]:
        values, numbers = second.probabilities.topk(min(3, len(second.probabilities)))
        likeliest = {
            class_name(number, self.names): round(value, 4)
            for number, value in zip(numbers.tolist(), values.tolist(), strict=True)
        }
        return {"start": second.start, "end": round(second.end, 3), "probabilities": likeliest}

    def _sounds(self) -> Iterator[Image.Image]:
        """Spectrograms of ten seconds each, in order."""
        windows = [Window(self.seconds[row].start, SECONDS) for row in range(0, len(self.seconds), SECONDS)]
        for waveform, rate in self.recording.sounds(windows):
            yield draw_sound(waveform, rate, _SOUND_SIZE)

    def _page(self, page: Sequence[Second], sounds: Iterator[Image.Image]) -> Image.Image:
        rows = []
        for start in range(0, len(page), SECONDS):
            row = page[start : start + SECONDS]
            rows.append(
                Row(
                    start=row[0].start,
                    # Shrunk row by row: a page of full size would take gigabytes.
                    frames=[timeline_frame(each) for each in self.recording.frames([second.frame for second in row])],
                    sound=next(sounds).crop((0, 0, _SOUND_SIZE[0] * len(row) // SECONDS, _SOUND_SIZE[1])),
                    classes=[second.number for second in row],
                    confidence=[second.confidence for second in row],
                )
            )
        names = {second.number: class_name(second.number, self.names) for second in page}
        title = f"{self.recording.path.name}   {page[0].start:g} to {round(page[-1].end, 1):g} s"
        return draw_timeline(title, rows, names, background=len(page[0].probabilities) - 1)


class EventPredictor(Predictor):
    """Names the event of each second, ten seconds at a time.

    A video of about ten seconds is read as the data set reads a clip. Others are read second by second: a longer one in
    windows of exactly ten seconds, a shorter one with its last picture and silence up to ten.

    Args:
        audio: How the sound becomes spectrograms.
        image_spec: What the visual encoder eats.
        audio_spec: What the audio encoder eats.
        names: ``classes``, the names by class number.
        fps: See ``AVE``.
        sampling: See ``AVE``.
    """

    def __init__(
        self,
        *,
        audio: AudioRecipe,
        image_spec: ImageSpec,
        audio_spec: AudioSpec,
        names: Names,
        fps: float = FPS,
        sampling: Sampling = "official",
    ) -> None:
        self.recipe = audio
        self.image_spec = image_spec
        self.audio_spec = audio_spec
        self.names = names
        self.fps = fps
        self.sampling = sampling

    def predict(self, path: Path, run: Run, question: str | None) -> EventPrediction:
        """Find the events of a video."""
        if question is not None:
            raise DataError("this model names events and answers no questions: leave the question out")
        recording = Recording(path, downmix=self.recipe.downmix)
        windows = recording.windows(SECONDS)
        # All is silent or the first sound ends the search: a mute hour is refused now, not after its last window.
        any(waveform.any() for waveform, _ in recording.sounds(windows))
        end = SECONDS if self._is_clip(recording) else max(1, int(recording.seconds + 0.5))
        seconds: list[Second] = []
        outputs = run(self._samples(recording, windows), len(windows))
        for window, output in zip(windows, outputs, strict=True):
            probabilities = output["logits"].float().softmax(-1)
            times = self._times(recording, window)
            for step in range(int(window.seen), SECONDS):
                start = window.start + step
                if start < end:
                    finish = min(start + 1, max(recording.seconds, start + 0.5))
                    seconds.append(Second(start, finish, times[step], probabilities[step].clone()))
        return EventPrediction(recording, seconds, self.names)

    def _samples(self, recording: Recording, windows: Sequence[Window]) -> Iterator[Sample]:
        for window, (waveform, rate) in zip(windows, recording.sounds(windows), strict=True):
            if not self._is_clip(recording):
                waveform = waveform[: SECONDS * rate]
            yield {
                "name": recording.path.name,
                "visual": to_input(recording.frames(self._times(recording, window)), self.image_spec),
                "audio": segments(waveform, rate, recipe=self.recipe, spec=self.audio_spec, sampling=self.sampling),
            }

    def _times(self, recording: Recording, window: Window) -> list[float]:
        """Of the ten pictures of a window."""
        seconds = recording.seconds if self._is_clip(recording) else float(SECONDS)
        times = frame_times(seconds, SECONDS, fps=self.fps, sampling=self.sampling)
        return [window.start + time for time in times]

    @staticmethod
    def _is_clip(recording: Recording) -> bool:
        """Whether a video is as long as those of the data set, give or take a second."""
        return abs(recording.seconds - SECONDS) <= 1
