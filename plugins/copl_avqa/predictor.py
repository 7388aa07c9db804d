"""Predictor: an answer to a question about any video, and where the model looked and listened."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from copl_avqa.dataset import FPS, FRAMES, MAX_WORDS, at_frames, encode_words
from copl_avqa.questions import match_words
from copl_avqa.renderer import AnswerCard
from copl_core.api import DataError
from copl_core.contracts import AudioSpec, Finding, ImageSpec, Names, Prediction, Predictor, Run, Sample
from copl_core.data import AudioRecipe, Recording, Sampling, Window, audio_segments, draw_sound, frame_times, to_input

#: Seconds of a window: videos of MUSIC-AVQA last a minute.
MINUTE = 60
#: Answers that are told.
ANSWERS = 5
# What a head may say of where it looked and listened.
_ATTENTION = ("visual_attention", "audio_attention")
_SOUND_SIZE = (1200, 80)  # pixels of a window's spectrogram before it is scaled into the card


@dataclass(frozen=True)
class Answer:
    """What the model answers from one window.

    Attributes:
        window: The window.
        times: Of its T frames, in seconds.
        output: What the head gave: ``logits`` (answers,) and perhaps ``grounding`` (T, H, W), ``visual_attention`` and
            ``audio_attention`` (T,).
    """

    window: Window
    times: Sequence[float]
    output: Mapping[str, Tensor]

    @property
    def probabilities(self) -> Tensor:
        """Of the answers (answers,)."""
        return self.output["logits"].float().softmax(dim=0)


class AnswerPrediction(Prediction):
    """The answer to a question about a video. Of several windows it is the one likeliest on average.

    Args:
        recording: The video.
        question: As the model read it.
        answers: Window by window.
        names: ``answers`` by number.
    """

    def __init__(self, recording: Recording, question: str, answers: Sequence[Answer], names: Names) -> None:
        self.recording = recording
        self.question = question
        self.answers = answers
        self.names = names

    def likeliest(self) -> list[tuple[str, float]]:
        """The five likeliest answers and their probabilities, the likeliest first."""
        mean = torch.stack([answer.probabilities for answer in self.answers]).mean(dim=0)
        return self._likeliest(mean, ANSWERS)

    def to_json(self) -> dict[str, Any]:
        """``answer``, the likeliest ``answers``, and each window's answer with the weights of its frames."""
        likeliest = self.likeliest()
        return {
            "video": self.recording.path.name,
            "seconds": round(self.recording.seconds, 3),
            "question": self.question,
            "answer": likeliest[0][0],
            "answers": [{"answer": name, "probability": round(value, 4)} for name, value in likeliest],
            "windows": [self._window(answer) for answer in self.answers],
        }

    def summary(self) -> str:
        """Question and answer, then the next likeliest answers."""
        (first, share), *rest = self.likeliest()
        others = ", ".join(f"{name} {value:.0%}" for name, value in rest)
        return f"  {self.question}\n  {first}  {share:.0%}   ({others})"

    def findings(self) -> list[Finding]:
        """The five likeliest answers."""
        return [Finding(name, probability) for name, probability in self.likeliest()]

    def draw(self, folder: Path) -> list[Path]:
        """``answer.png``, or ``answer-01.png`` and so on for several windows."""
        card = AnswerCard(names=self.names, answers=ANSWERS)
        sounds = self.recording.sounds([answer.window for answer in self.answers])
        paths = []
        for number, (answer, (waveform, rate)) in enumerate(zip(self.answers, sounds, strict=True), start=1):
            path = folder / ("answer.png" if len(self.answers) == 1 else f"answer-{number:02d}.png")
            end = answer.window.start + answer.window.seconds
            sample = {
                "name": f"{self.recording.path.name}   {answer.window.start:g} to {end:.1f} s",
                "question_text": self.question,
                "times": answer.times,
                "sound_picture": draw_sound(waveform, rate, _SOUND_SIZE),
            }
            card.render(self.recording.frames(answer.times), sample, answer.output).save(path)
            paths.append(path)
        return paths

    def _window(self, answer: Answer) -> dict[str, Any]:
        ((name, probability),) = self._likeliest(answer.probabilities, 1)
        weights = {key: answer.output[key].tolist() for key in _ATTENTION if key in answer.output}
        return {
            "start": answer.window.start,
            "end": round(answer.window.start + answer.window.seconds, 3),
            "answer": name,
            "probability": round(probability, 4),
            "frames": [round(time, 3) for time in answer.times],
            **{key: [round(value, 4) for value in values] for key, values in weights.items()},
        }

    def _likeliest(self, probabilities: Tensor, count: int) -> list[tuple[str, float]]:
        values, numbers = probabilities.topk(min(count, len(probabilities)))
        answers = self.names.get("answers", ())
        return [
            (answers[number] if number < len(answers) else f"answer {number}", value)
            for number, value in zip(numbers.tolist(), values.tolist(), strict=True)
        ]


class AnswerPredictor(Predictor):
    """Answers a question about a video; one that is much longer than a minute is answered minute by minute.

    Args:
        audio: How the sound becomes spectrograms.
        image_spec: What the visual encoder eats.
        audio_spec: What the audio encoder eats.
        names: ``words`` and ``answers`` by number.
        fps: See ``MusicAVQA``.
        sampling: See ``MusicAVQA``.
        max_words: See ``MusicAVQA``.
        unknown_words: See ``MusicAVQA``.
    """

    answers_questions = True

    def __init__(
        self,
        *,
        audio: AudioRecipe,
        image_spec: ImageSpec,
        audio_spec: AudioSpec,
        names: Names,
        fps: float = FPS,
        sampling: Sampling = "official",
        max_words: int = MAX_WORDS,
        unknown_words: Literal["refuse", "pad"] = "refuse",
    ) -> None:
        self.recipe = audio
        self.image_spec = image_spec
        self.audio_spec = audio_spec
        self.names = names
        self.fps = fps
        self.sampling = sampling
        self.max_words = max_words
        self.unknown_words = unknown_words

    def predict(self, path: Path, run: Run, question: str | None) -> AnswerPrediction:
        """Answer a question about a video."""
        if question is None:
            raise DataError('this model answers questions: ask one (--question "How many instruments are sounding?")')
        words = self._read(question)
        recording = Recording(path, downmix=self.recipe.downmix)
        windows = recording.windows(MINUTE)
        # All is silent or the first sound ends the search: a mute hour is refused now, not after its last window.
        any(waveform.any() for waveform, _ in recording.sounds(windows))
        outputs = run(self._samples(recording, windows, words), len(windows))
        answers = [Answer(window, self._times(window), output) for window, output in zip(windows, outputs, strict=True)]
        return AnswerPrediction(recording, f"{' '.join(words)}?", answers, self.names)

    def _read(self, question: str) -> tuple[str, ...]:
        """The question in words that the model knows.

        Raises:
            DataError: It has no words, too many, or some that the model doesn't know.
        """
        known = self.names.get("words", ())
        words = match_words(question, known)
        if not words:
            raise DataError("the question holds no word")
        if len(words) > self.max_words:
            raise DataError(f"the question has {len(words)} words, the model reads {self.max_words}: shorten it")
        unknown = [word for word in words if word not in known]
        if unknown and self.unknown_words == "refuse":
            raise DataError(
                f"the model knows its training questions' {len(known) - 1} words only, not "
                + ", ".join(_with_suggestion(word, known) for word in unknown)
            )
        return words

    def _samples(self, recording: Recording, windows: Sequence[Window], words: Sequence[str]) -> Iterator[Sample]:
        ids = {word: number for number, word in enumerate(self.names.get("words", ()))}
        for window, (waveform, rate) in zip(windows, recording.sounds(windows), strict=True):
            times = self._times(window)
            starts = [time - window.start for time in times] if at_frames(self.sampling, self.audio_spec) else None
            yield {
                "name": recording.path.name,
                "visual": to_input(recording.frames(times), self.image_spec),
                "audio": audio_segments(waveform, rate, self.recipe, self.audio_spec, FRAMES, starts=starts),
                "question": encode_words(words, ids, self.max_words),
                "question_text": f"{' '.join(words)}?",
            }

    def _times(self, window: Window) -> list[float]:
        """Of the ten frames of a window."""
        times = frame_times(window.seconds, FRAMES, fps=self.fps, sampling="official")
        return [window.start + time for time in times]


def _with_suggestion(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"{word!r} (did you mean {near[0]!r}?)" if near else repr(word)
