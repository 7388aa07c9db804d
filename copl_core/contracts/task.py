"""Task: data set + head (with its loss) + metric + renderer, registered together by one plugin."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn

from copl_core.api import DataError
from copl_core.contracts.backbone import FeatureLayout, Features
from copl_core.contracts.contents import Contents
from copl_core.contracts.factory import Factory
from copl_core.contracts.inputs import AudioSpec, ImageSpec

#: One clip. ``visual`` (T, 3, H, W) and ``audio`` (T, ...) feed the encoders; ``name`` identifies the clip.
Sample: TypeAlias = dict[str, Any]
#: Collated samples: tensors gain a leading B, other values become lists of length B. Where a data set yields
#: ``negative`` frames of other clips (B, T, 3, H, W), the head finds ``negative_features`` as well: the Features of
#: them, without autograd, from the frozen visual encoder alone or as ``Head.tuned_negatives`` says.
Batch: TypeAlias = dict[str, Any]
#: What numbers in samples stand for, e.g. ``{"classes": ("dog", "violin")}``.
Names: TypeAlias = Mapping[str, tuple[str, ...]]
#: What a head yields, tensors with a leading B.
Predictions: TypeAlias = dict[str, Tensor]
#: Tables by what their rows are (``"class"``): rows by name, each with its columns by name. Whole numbers are counts,
#: floats are scores.
Breakdown: TypeAlias = Mapping[str, Mapping[str, Mapping[str, int | float]]]
#: What ``Prediction.save`` writes the plain data to.
PREDICTION_FILE = "prediction.json"
#: Runs a trained model over samples, one after the other as they are asked for. Gets the samples and how many there
#: will be; yields the predictions for each, on the CPU and without the leading B.
Run: TypeAlias = Callable[[Iterable[Sample], int], Iterator[Predictions]]


class Dataset(torch.utils.data.Dataset[Sample], ABC):
    """The clips of one split.

    The constructor reads and checks the index (so that missing data is told before any encoder is loaded); ``bind``
    then says what the encoders eat. Its arguments that say where the data lie are annotated ``Path``: they are a matter
    of the machine and no part of what is exported.
    """

    kind: ClassVar[str] = "dataset"
    context: ClassVar[tuple[str, ...]] = ("split",)

    #: What was left out because its data could not be used, as ``Problem``s, where the data set was asked to go on.
    skipped: Sequence[Any] = ()
    #: A clip that turns out to be unreadable while training stops the run (``refuse``), or is left out of its batch,
    #: counted and named at the end (``skip``).
    on_error: Literal["refuse", "skip"] = "refuse"

    @property
    def names(self) -> Names:
        """What the numbers in samples stand for, the same for all splits; stored with what is trained."""
        return {}

    @property
    def contents(self) -> Contents | None:
        """What the split's list holds, for ``copl data``; None if the data set does not tell."""
        return None

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips."""

    def describe(self) -> str:
        """One line for people: what was found on disk, and where; empty if the data set doesn't tell."""
        return ""

    def where(self, index: int) -> str:
        """Where a sample is listed, for messages: file, line and name; its number if the data set doesn't tell."""
        return f"clip {index}"

    _specs: tuple[ImageSpec, AudioSpec] | None = None

    def bind(self, image: ImageSpec, audio: AudioSpec) -> None:
        """Set the input format; called once before the first sample is read."""
        self._specs = image, audio

    @property
    def specs(self) -> tuple[ImageSpec, AudioSpec]:
        """What the encoders eat, as ``bind`` has set it.

        Raises:
            RuntimeError: Nothing has been set.
        """
        if self._specs is None:
            raise RuntimeError("bind() the data set to its encoders before reading from it")
        return self._specs

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Read one clip.

        Raises:
            DataError: The clip's files are missing or unreadable; the message names the file.
        """

    @abstractmethod
    def pictures(self, index: int) -> list[Image.Image]:
        """The T frames of a clip as they lie on disk, for rendering."""

    def sound(self, index: int) -> tuple[Tensor, int] | None:
        """What a clip sounds like, for listening: waveform (S,) in [-1, 1] and its rate in Hz; None if it isn't told.

        Raises:
            DataError: A file is missing or unreadable.
        """
        return None

    def labels(self, index: int) -> Sample:
        """What is right of a sample, read without pictures and sound, in the form that the task's metric takes.

        ``Metric.baselines`` are computed from it over whole splits. Empty if the data set doesn't tell.
        """
        return {}


class Head(nn.Module, ABC):
    """The downstream network on top of both encoders, with its loss.

    Built with the shapes of the features, T, and the ``names`` of the data set; these are empty where there is no data,
    as when parameters are counted, so a head that needs their number takes a default from its config.

    Attributes:
        tuned_negatives: Whether ``negative`` frames of a batch go through the tuner, with the sound of the clip that
            they are no part of, or through the frozen visual encoder alone.
    """

    kind: ClassVar[str] = "head"
    context: ClassVar[tuple[str, ...]] = ("visual", "audio", "frames", "names")
    tuned_negatives: bool = False

    def __init__(self, *, visual: FeatureLayout, audio: FeatureLayout, frames: int, names: Names | None = None) -> None:
        super().__init__()
        self.visual = visual
        self.audio = audio
        self.frames = frames
        self.names: Names = names or {}

    @abstractmethod
    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """Predict from the features of B * T frames.

        Args:
            visual: Features of the frames.
            audio: Features of the sound.
            batch: What else the task gives (a question, say). While training, a head may leave out what no loss
                reads; in evaluation it must not look at labels.
        """

    @abstractmethod
    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """Named scalar losses; their sum is minimised."""


class Metric(ABC):
    """Scores predictions in two steps, so that clips may be measured on many ranks and summarised on one."""

    kind: ClassVar[str] = "metric"
    context: ClassVar[tuple[str, ...]] = ("names",)

    @abstractmethod
    def measure(self, predictions: Predictions, batch: Batch) -> list[Any]:
        """One result a clip, in batch order, detached and on the CPU."""

    @abstractmethod
    def summarize(self, results: Sequence[Any]) -> dict[str, float]:
        """Scores over all clips, given in data set order."""

    def clip_score(self, result: Any) -> float | None:
        """How well one clip was done, larger is better; reports show the best and the worst clips.

        Args:
            result: Of ``measure``.

        Returns:
            The score; None if this clip, or any, can't be ranked.
        """
        return None

    def breakdown(self, results: Sequence[Any]) -> Breakdown:
        """Scores over parts of the clips, each class or type of question, say; empty if there are no parts."""
        return {}

    def baselines(self, training: Sequence[Sample], tested: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """Scores of answers that look at no clip, such as always giving the most frequent class of the training split.

        Args:
            training: ``Dataset.labels`` of the training split, none of them empty.
            tested: The same of the clips that were tested.

        Returns:
            Scores under the names of ``summarize``, by what is answered; empty if no such answer makes sense.
        """
        return {}


class Renderer(ABC):
    """Draws a prediction for a person."""

    kind: ClassVar[str] = "renderer"
    context: ClassVar[tuple[str, ...]] = ("names",)

    @abstractmethod
    def render(self, pictures: Sequence[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]) -> Image.Image:
        """Draw one clip.

        Args:
            pictures: The T frames.
            sample: The clip, with its labels.
            prediction: The head's output for this clip, without the leading B.
        """


@dataclass(frozen=True)
class Finding:
    """One line of a result: an event, an answer.

    Attributes:
        label: What was found.
        confidence: Its probability, 0 to 1.
        span: Where it begins and ends, in seconds; None if it is about the whole video.
    """

    label: str
    confidence: float
    span: tuple[float, float] | None = None


class Prediction(ABC):
    """What a model makes of one video."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""

    @abstractmethod
    def summary(self) -> str:
        """The result in a few lines, for a terminal."""

    def findings(self) -> Sequence[Finding]:
        """What ``copl serve`` lists beside the drawing, in order; empty where the drawing tells all."""
        return ()

    @abstractmethod
    def draw(self, folder: Path) -> list[Path]:
        """Draw the result for a person: pictures, or videos.

        Args:
            folder: Exists.

        Returns:
            The files, the most telling one first.

        Raises:
            DataError: The video can't be read any more, or a file can't be written.
        """

    def save(self, folder: str | PathLike[str]) -> list[Path]:
        """Draw the result, and write it as ``prediction.json``.

        Args:
            folder: Made if missing; files of the same names are replaced.

        Returns:
            The files, the most telling one first, ``prediction.json`` last.

        Raises:
            DataError: The video can't be read any more, or a file can't be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths = [*self.draw(folder), folder / PREDICTION_FILE]
            paths[-1].write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot write to {folder}: {error.strerror or error}") from error
        return paths


class Predictor(ABC):
    """Cuts a video into what the model was trained on, and puts together what the model says.

    A task names its own as ``Task.predictor``. Arguments of the constructor that bear the name of an argument of the
    task's data set get the value that the model was trained with (``audio: AudioRecipe``, ``fps``, ...), so that both
    read a video in the same way. The framework sets those of ``context``:

    - ``image_spec``, ``audio_spec``: what the encoders eat;
    - ``names``: what the numbers in samples and predictions stand for.
    """

    context: ClassVar[tuple[str, ...]] = ("image_spec", "audio_spec", "names")

    #: Whether ``predict`` needs a question; others refuse one.
    answers_questions: ClassVar[bool] = False

    @abstractmethod
    def predict(self, path: Path, run: Run, question: str | None) -> Prediction:
        """Use the model on a video.

        Args:
            path: The video file.
            run: The model. Samples should be read one at a time, for a video may be long.
            question: What a person wants to know, for tasks that answer questions.

        Raises:
            DataError: The video can't be read, is too short or silent, or the question can't be answered.
        """


class Task:
    """Binds the four parts of a task together. A subclass states what is fixed about it.

    Args:
        dataset: The clips.
        head: The downstream network and its loss.
        metric: Scores what the head predicts.
        renderer: Draws what the head predicts.

    Attributes:
        frames: T.
        select_by: Name of the score by which checkpoints are selected on the validation split.
        higher_is_better: Direction of that score.
        predictor: How the trained model is used on any video (``copl predict``); None if it can't be.
    """

    kind: ClassVar[str] = "task"
    context: ClassVar[tuple[str, ...]] = ()

    frames: ClassVar[int]
    select_by: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    predictor: ClassVar[type[Predictor] | None] = None

    def __init__(
        self,
        *,
        dataset: Factory[Dataset],
        head: Factory[Head],
        metric: Factory[Metric],
        renderer: Factory[Renderer],
    ) -> None:
        self.dataset = dataset
        self.head = head
        self.metric = metric
        self.renderer = renderer

    @classmethod
    def check(cls, datasets: Mapping[str, Dataset], head: Head | None = None) -> None:
        """Refuse parts that can't be used together, before any training; by default all can.

        Args:
            datasets: Those that are there, by split.
            head: None where only the data are looked at (``copl data check``).

        Raises:
            DataError: Says what doesn't fit and what to do.
        """
