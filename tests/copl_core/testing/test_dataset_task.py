"""Wrong data sets and tasks."""

from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from conformance_parts import failures, only_failure
from copl_core.contracts import Dataset, Head, Metric, Renderer, SpectrogramSpec, Task
from copl_core.data import to_input
from copl_core.testing import check_dataset, check_task

FRAMES = 3


class RightData(Dataset):
    """Coloured frames; is the clip red?

    Args:
        split: ``train`` or ``val``.
        clips: How many.
    """

    def __init__(self, *, split, clips=3):
        self.split = split
        self.clips = clips

    @property
    def names(self):
        return {"classes": ("blue", "red")}

    def __len__(self):
        return self.clips

    def __getitem__(self, index):
        """``visual`` (3, 3, H, W), ``audio`` (3, ...), ``label`` ()."""
        image, sound = self.specs
        shape = (
            (sound.channels, sound.frames, sound.mel_bins) if isinstance(sound, SpectrogramSpec) else (sound.samples,)
        )
        return {
            "name": f"{self.split} {index}",
            "visual": to_input(self.pictures(index), image),
            "audio": torch.full((FRAMES, *shape), 0.1 * index),
            "label": torch.tensor(float(index % 2)),
        }

    def pictures(self, index):
        return [Image.new("RGB", (20, 10), (200 * (index % 2), 10 * n, 200)) for n in range(FRAMES)]

    def change(self, index, **values):
        return {**RightData.__getitem__(self, index), **values}


class OnDisk(RightData):
    """Knows where it lies.

    Args:
        split: ``train`` or ``val``.
        root: A folder, as text.
        media: Another one.
    """

    def __init__(self, *, split, root: str, media: "Path | None" = None):
        super().__init__(split=split)


def test_a_place_must_be_known_as_one(tmp_path):
    told = only_failure(check_dataset, partial(OnDisk, root=str(tmp_path)), media=tmp_path)

    assert "places: expected what says where the data lie to be annotated Path, root is not" in told
    check_dataset(OnDisk, root="any text", media=tmp_path)


def altered(make):
    """The right data set with ``make(self, index)`` as its samples."""

    class Altered(RightData):
        """Gives other samples."""

        def __getitem__(self, index):
            """(3, ...)."""
            return make(self, index)

    return Altered


def fixed_size(self, index):
    return self.change(index, visual=torch.zeros(FRAMES, 3, 48, 32))


def not_normalised(self, index):
    pixels = [torch.nn.functional.interpolate(torch.full((1, 3, 1, 1), 0.5), (32, 48))[0]] * FRAMES
    return self.change(index, visual=torch.stack(pixels))


def in_bytes(self, index):
    image = self.specs[0]
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (image.mean, image.std))
    return self.change(index, visual=(torch.full((FRAMES, 3, image.height, image.width), 200.0) - mean) / std)


class EmptyData(RightData):
    """Found no clip."""

    def __len__(self):
        return 0


class AbsentData(RightData):
    """Refuses split val."""

    def __init__(self, *, split):
        super().__init__(split=split)
        if split == "val":
            raise ValueError("no such split")


class SplitNames(RightData):
    """Numbers its classes by split."""

    @property
    def names(self):
        return {"classes": (self.split, "other")}


class ListNames(RightData):
    """Gives its names as a list."""

    @property
    def names(self):
        return {"classes": ["blue", "red"]}


class OpenData(RightData):
    """Keeps a generator, which can't be pickled."""

    def __init__(self, *, split):
        super().__init__(split=split)
        self.stream = (n for n in range(3))


class ForgetfulData(RightData):
    """Forgets on its way to a worker what it was made of."""

    def __getstate__(self):
        return {**vars(self), "split": "lost"}


class FewPictures(RightData):
    """Shows the first frame only."""

    def pictures(self, index):
        return super().pictures(index)[:1]

    def __getitem__(self, index):
        """``visual`` (3, 3, H, W)."""
        return self.change(index, visual=to_input(RightData.pictures(self, index), self.specs[0]))


@pytest.mark.parametrize(
    ("wrong", "point", "part"),
    [
        (EmptyData, "length", "there are none"),
        (altered(lambda self, index: self.change(index, name=index)), "samples", "a clip's name under 'name', got 0"),
        (altered(lambda self, index: self.change(index, visual=None)), "samples", "a tensor under 'visual', got None"),
        (altered(fixed_size), "samples", "visual (T, 3, 32, 48) in float32, as bind() asks for, got (3, 3, 48, 32)"),
        (
            altered(lambda self, index: self.change(index, audio=torch.zeros(FRAMES, 3, 40, 24))),
            "samples",
            "audio (T, 8000) in float32",
        ),
        (
            altered(lambda self, index: self.change(index, audio=RightData.__getitem__(self, index)["audio"][:2])),
            "samples",
            "one segment of sound a frame, got (2, 3, 40, 24) for 3 frames",
        ),
        (
            altered(lambda self, index: self.change(index, audio=RightData.__getitem__(self, index)["audio"] / 0)),
            "samples",
            "audio of clip 'train 0' has NaN or infinity",
        ),
        (
            altered(lambda self, index: self.change(index, label=torch.zeros(1 + index))),
            "samples",
            "raised DataError: clips 'train 0' and 'train 2' can't share a batch",
        ),
        (altered(not_normalised), "normalisation", "by the mean and deviation of bind()"),
        (altered(in_bytes), "normalisation", "pixels scaled to 0..1"),
        (FewPictures, "pictures", "the 3 frames of a clip as PIL images"),
        (OpenData, "workers", "pickling fails"),
        (ForgetfulData, "workers", "the same clip in a worker process"),
    ],
)
def test_wrong_data_set_fails_at_its_point(wrong, point, part, monkeypatch):
    # What is made inside a function can be pickled by its name in the module only.
    monkeypatch.setitem(globals(), wrong.__name__, wrong)
    wrong.__qualname__ = wrong.__name__
    line = only_failure(check_dataset, wrong)
    assert line.startswith(f"{point} (split train): ")
    assert part in line


class DrawsData(RightData):
    """Draws from a generator of its own."""

    generator = torch.Generator().manual_seed(0)

    def __getitem__(self, index):
        """``visual`` (3, 3, H, W)."""
        return self.change(index, label=torch.rand((), generator=DrawsData.generator))


def test_a_data_set_that_draws_by_itself():
    lines = failures(check_dataset, DrawsData)
    assert lines[0].startswith("determinism (split train): expected the same clip at equal seeds")


def test_splits():
    check_dataset(RightData, splits=("train", "val"))
    line = only_failure(check_dataset, AbsentData, splits=("train", "val"))
    assert line.startswith("building (split val): raised ValueError: no such split")
    assert only_failure(check_dataset, SplitNames, splits=("train", "val")).startswith("names: expected the same names")
    assert only_failure(check_dataset, ListNames).startswith("names: expected tuples of strings")


class RightHead(Head):
    """Is the clip red?

    Args:
        visual: Shapes of the visual features.
        audio: Shapes of the audio features.
        frames: T.
    """

    def __init__(self, *, visual, audio, frames):
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.score = nn.Linear(visual.width + audio.width, 1)

    def forward(self, visual, audio, batch):
        """``score`` (B,)."""
        score = self.score(torch.cat([visual.pooled, audio.pooled], dim=1))
        return {"score": score.reshape(-1, self.frames).mean(dim=1)}

    def losses(self, predictions, batch):
        return {"loss": nn.functional.binary_cross_entropy_with_logits(predictions["score"], batch["label"])}


class VisualHead(RightHead):
    """Looks at raw pixels, which the head's check leaves out."""

    def forward(self, visual, audio, batch):
        """``score`` (B,)."""
        offset = batch["visual"].flatten(1).mean(dim=1) * 1e30 * 1e30 if "visual" in batch else 0
        return {"score": super().forward(visual, audio, batch)["score"] + offset}


class TrainingHead(RightHead):
    """Breaks down when it is tested on pixels."""

    def forward(self, visual, audio, batch):
        """``score`` (B,)."""
        if "visual" in batch and not self.training:
            raise RuntimeError("only for training")
        return super().forward(visual, audio, batch)


class RightMetric(Metric):
    """Share of right clips."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return ((predictions["score"] > 0) == batch["label"].bool()).tolist()

    def summarize(self, results):
        return {"accuracy": sum(results) / len(results)}


class TensorMetric(RightMetric):
    """Gives a tensor."""

    def summarize(self, results):
        return {"accuracy": torch.tensor(0.5)}


class RightRenderer(Renderer):
    """The frame, as bright as the score."""

    def render(self, pictures, sample, prediction):
        """``score`` ()."""
        share = float(prediction["score"].detach().cpu().sigmoid())
        return Image.blend(pictures[0], Image.new("RGB", pictures[0].size), share)


class BlindRenderer(RightRenderer):
    """The frame."""

    def render(self, pictures, sample, prediction):
        """``score`` ()."""
        return pictures[0].copy()


class RightTask(Task):
    """Is the clip red?"""

    frames = FRAMES
    select_by = "accuracy"


class LongTask(RightTask):
    """Has more frames than its data set."""

    frames = 10


class LossTask(RightTask):
    """Selects by a score that there is none of."""

    select_by = "mIoU"


class VagueTask(Task):
    """Says nothing of itself."""


class WordyTask(RightTask):
    """Says "no" in words."""

    higher_is_better = "no"


PARTS = {
    "dataset": partial(RightData, clips=2),
    "head": RightHead,
    "metric": RightMetric,
    "renderer": RightRenderer,
}


@pytest.mark.parametrize(
    ("wrong", "parts", "start"),
    [
        (VagueTask, {}, "attributes: expected frames as int, got None; set it in the class"),
        (WordyTask, {}, "attributes: expected higher_is_better as bool, got 'no'"),
        (LongTask, {}, "frames: expected clips of 10 frames, as the task says, the data set gives 3"),
        (LossTask, {}, "select_by: expected 'mIoU' among the metric's scores, got accuracy"),
        (RightTask, {"dataset": EmptyData}, "dataset EmptyData: length (split train): expected clips"),
        (RightTask, {"metric": TensorMetric}, "metric TensorMetric: summarize: expected finite floats"),
        (RightTask, {"renderer": BlindRenderer}, "renderer BlindRenderer: prediction: expected another picture"),
        (RightTask, {"head": VisualHead}, "training: expected finite losses"),
        (RightTask, {"head": TrainingHead}, "test: raised RuntimeError: only for training"),
        (RightTask, {"head": partial(RightHead, width=3)}, "head RightHead: building (visual maps at four"),
    ],
)
def test_wrong_task_fails_at_its_point(wrong, parts, start):
    assert failures(check_task, wrong, **{**PARTS, **parts})[0].startswith(start)


def test_right_task_passes():
    check_task(RightTask, splits=("train", "val"), **PARTS)
    check_task(RightTask, **{**PARTS, "dataset": partial(RightData, clips=1)})


def test_task_without_a_part():
    line = only_failure(check_task, RightTask, dataset=RightData)
    assert line.startswith("building: raised TypeError")
