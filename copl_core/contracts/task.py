"""Task: data set + head (with its loss) + metric + renderer, registered together by one plugin."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn

from copl_core.contracts.backbone import FeatureLayout, Features
from copl_core.contracts.factory import Factory
from copl_core.contracts.inputs import AudioSpec, ImageSpec

#: One clip. ``visual`` (T, 3, H, W) and ``audio`` (T, ...) feed the encoders; ``name`` identifies the clip.
Sample: TypeAlias = dict[str, Any]
#: Collated samples: tensors gain a leading B, other values become lists of length B.
Batch: TypeAlias = dict[str, Any]
#: What a head yields, tensors with a leading B.
Predictions: TypeAlias = dict[str, Tensor]


class Dataset(torch.utils.data.Dataset[Sample], ABC):
    """The clips of one split.

    The constructor reads and checks the index (so that missing data is told before any encoder is loaded); ``bind``
    then says what the encoders eat.
    """

    kind: ClassVar[str] = "dataset"
    context: ClassVar[tuple[str, ...]] = ("split",)

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips."""

    @abstractmethod
    def bind(self, image: ImageSpec, audio: AudioSpec) -> None:
        """Set the input format; called once before the first sample is read."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Read one clip.

        Raises:
            DataError: The clip's files are missing or unreadable; the message names the file.
        """

    @abstractmethod
    def pictures(self, index: int) -> list[Image.Image]:
        """The T frames of a clip as they lie on disk, for rendering."""


class Head(nn.Module, ABC):
    """The downstream network on top of both encoders, with its loss."""

    kind: ClassVar[str] = "head"
    context: ClassVar[tuple[str, ...]] = ("visual", "audio", "frames")

    def __init__(self, *, visual: FeatureLayout, audio: FeatureLayout, frames: int) -> None:
        super().__init__()
        self.visual = visual
        self.audio = audio
        self.frames = frames

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
    context: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def measure(self, predictions: Predictions, batch: Batch) -> list[Any]:
        """One result a clip, in batch order, detached and on the CPU."""

    @abstractmethod
    def summarize(self, results: Sequence[Any]) -> dict[str, float]:
        """Scores over all clips, given in data set order."""


class Renderer(ABC):
    """Draws a prediction for a person."""

    kind: ClassVar[str] = "renderer"
    context: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def render(self, pictures: Sequence[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]) -> Image.Image:
        """Draw one clip.

        Args:
            pictures: The T frames.
            sample: The clip, with its labels.
            prediction: The head's output for this clip, without the leading B.
        """


class Task:
    """Binds the four parts of a task together. A subclass states what is fixed about it.

    Attributes:
        frames: T.
        select_by: Name of the score by which checkpoints are selected on the validation split.
        higher_is_better: Direction of that score.
    """

    kind: ClassVar[str] = "task"
    context: ClassVar[tuple[str, ...]] = ()

    frames: ClassVar[int]
    select_by: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

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
