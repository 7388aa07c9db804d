"""Wrong heads, metrics and renderers."""

import random

import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

from conformance_parts import failures, only_failure
from copl_core.contracts import Head, Metric, Renderer
from copl_core.testing import check_head, check_metric, check_renderer

SAMPLES = [{"name": name, "label": torch.tensor(label)} for name, label in (("a", 1.0), ("b", 0.0))]


class RightHead(Head):
    """One score a clip.

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
        return {"loss": (predictions["score"] - batch["label"]).square().mean()}


class FrameHead(RightHead):
    """Forgets to bring frames back to clips."""

    def forward(self, visual, audio, batch):
        """``score`` (BT,)."""
        return {"score": self.score(torch.cat([visual.pooled, audio.pooled], dim=1))[:, 0]}

    def losses(self, predictions, batch):
        return {"loss": predictions["score"].square().mean()}


class SilentHead(RightHead):
    """Predicts nothing."""

    def forward(self, visual, audio, batch):
        """No tensor of shape (B, n)."""
        return {"score": super().forward(visual, audio, batch)["score"]} if self.training else {}


class VectorLossHead(RightHead):
    """A loss a clip."""

    def losses(self, predictions, batch):
        return {"loss": (predictions["score"] - batch["label"]).square()}


class NoLossHead(RightHead):
    """Leaves the loss to others."""

    def losses(self, predictions, batch):
        return {"loss": predictions["score"].detach().mean()}


class PeekingHead(RightHead):
    """Looks at the label that it is to predict."""

    def forward(self, visual, audio, batch):
        """``score`` (B,)."""
        return {"score": super().forward(visual, audio, batch)["score"] + 0.1 * batch.get("label", 0)}


class OneMapHead(RightHead):
    """Knows encoders with four maps only."""

    def forward(self, visual, audio, batch):
        """``score`` (B,)."""
        assert len(visual.pyramid) == 4
        return super().forward(visual, audio, batch)


class BatchNormHead(RightHead):
    """Standardises by the batch at hand, in evaluation mode, too."""

    def forward(self, visual, audio, batch):
        """``score`` (B,)."""
        score = super().forward(visual, audio, batch)["score"]
        return {"score": score - score.mean()}


@pytest.mark.parametrize(
    ("wrong", "point", "part"),
    [
        (FrameHead, "predictions", "a leading B = 2 in evaluation mode, got score (6,); bring frames back"),
        (VectorLossHead, "losses", "finite scalars with a gradient, got loss = tensor(["),
        (PeekingHead, "labels", "it reads label, as losses does"),
        (BatchNormHead, "batch of one", "a clip alone"),
        (NoLossHead, "gradient", "it has no gradient"),
        (SilentHead, "predictions", "got none"),
    ],
)
def test_wrong_head_fails_at_its_point(wrong, point, part):
    lines = failures(check_head, wrong, samples=SAMPLES)
    assert any(line.startswith(f"{point} (visual maps at four") and part in line for line in lines), lines
    # A loss that isn't one has no gradient either, and the other way round; labels come with a prediction.
    assert {line.partition(" (")[0] for line in lines} <= {point, "losses", "gradient", "labels"}


def test_head_that_knows_one_kind_of_encoder():
    line = only_failure(check_head, OneMapHead, samples=SAMPLES)
    assert line.startswith("running (visual map at one scale, audio at four): raised AssertionError")


def test_right_head_passes():
    check_head(RightHead, samples=SAMPLES)
    check_head(RightHead, samples=SAMPLES, frames=5)


def test_what_is_no_label_may_be_named():
    check_head(PeekingHead, samples=SAMPLES, not_labels=("label",))


def test_one_sample_is_too_few():
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        check_head(RightHead, samples=SAMPLES[:1])


PREDICTIONS = {"score": torch.tensor([0.9, 0.8])}


class RightMetric(Metric):
    """Share of clips that are right."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return ((predictions["score"] > 0.5) == batch["label"].bool()).tolist()

    def summarize(self, results):
        return {"accuracy": sum(results) / len(results)}


class AttachedMetric(RightMetric):
    """Keeps the graph."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return list(predictions["score"])

    def summarize(self, results):
        return {"score": float(sum(results))}


class WholeBatchMetric(RightMetric):
    """One result a batch."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return [super().measure(predictions, batch)]


class TensorMetric(RightMetric):
    """Gives all results in one tensor."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return torch.tensor(super().measure(predictions, batch))


class RankingMetric(RightMetric):
    """Compares clips within their batch."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return predictions["score"].detach().cpu().argsort().tolist()


class LocalMetric(RightMetric):
    """Results that can't leave the process."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return [lambda right=right: right for right in super().measure(predictions, batch)]


class Verdict:
    def __init__(self, right):
        self.right = right


class ObjectMetric(RightMetric):
    """Results that nobody can compare."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        return [Verdict(right) for right in super().measure(predictions, batch)]


class ChangingMetric(RightMetric):
    """Rounds in place."""

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        predictions["score"].data.round_()
        return super().measure(predictions, batch)


class CountingMetric(RightMetric):
    """Keeps count from batch to batch."""

    seen = 0

    def measure(self, predictions, batch):
        """``score`` (B,)."""
        self.seen += len(predictions["score"])
        return [self.seen] * len(predictions["score"])


class TensorScoreMetric(RightMetric):
    """Gives its score as a tensor."""

    def summarize(self, results):
        return {"accuracy": torch.tensor(results).float().mean()}


class NanMetric(RightMetric):
    """Divides nothing by nothing."""

    def summarize(self, results):
        return {"accuracy": 1.0, "accuracy_of_cats": float("nan")}


class OneNumberMetric(RightMetric):
    """Gives one number without a name."""

    def summarize(self, results):
        return 0.5


class RandomMetric(RightMetric):
    """Draws its score."""

    def summarize(self, results):
        return {"accuracy": random.random()}


@pytest.mark.parametrize(
    ("wrong", "point", "part"),
    [
        (AttachedMetric, "measure", "detached and on the CPU"),
        (WholeBatchMetric, "measure", "one result a clip, 2 in all, got 1 results"),
        (TensorMetric, "measure", "one result a clip, 2 in all, got Tensor"),
        (
            RankingMetric,
            "batch of one",
            "expected clip 0 alone to give what it gives among others, got [0] instead of [1]",
        ),
        (LocalMetric, "measure", "pickling fails"),
        (ObjectMetric, "measure", "pickling changes them; use plain values"),
        (ChangingMetric, "measure", "don't compute in place"),
        (CountingMetric, "measure", "keep no state, draw nothing"),
        (TensorScoreMetric, "summarize", "finite floats, accuracy is tensor(0.5"),
        (NanMetric, "summarize", "accuracy_of_cats is nan"),
        (OneNumberMetric, "summarize", "scores by name, got 0.5"),
        (RandomMetric, "summarize", "the same scores of the same results"),
    ],
)
def test_wrong_metric_fails_at_its_point(wrong, point, part):
    line = only_failure(check_metric, wrong, predictions=PREDICTIONS, samples=SAMPLES)
    assert line.startswith(f"{point}: ")
    assert part in line


def test_right_metric_passes():
    check_metric(RightMetric, predictions=PREDICTIONS, samples=SAMPLES)


def test_predictions_of_other_clips_are_refused():
    with pytest.raises(ValueError, match=r"got 2 and \['score'\]"):
        check_metric(RightMetric, predictions={"score": torch.zeros(3)}, samples=SAMPLES)


class RightRenderer(Renderer):
    """The first frame with a bar as long as the score."""

    def render(self, pictures, sample, prediction):
        """``score`` (T,)."""
        page = pictures[0].convert("RGB").copy()
        for row, score in enumerate(prediction["score"].detach().cpu().sigmoid().tolist()):
            ImageDraw.Draw(page).rectangle((0, 4 * row, int(page.width * score), 4 * row + 3), fill="red")
        return page


class ArrayRenderer(RightRenderer):
    """Gives an array."""

    def render(self, pictures, sample, prediction):
        """``score`` (T,)."""
        return torch.zeros(3, 4, 4)


class GreyRenderer(RightRenderer):
    """Gives a grey picture."""

    def render(self, pictures, sample, prediction):
        """``score`` (T,)."""
        return super().render(pictures, sample, prediction).convert("L")


class DrawingRenderer(RightRenderer):
    """Draws on the frame that it was given."""

    def render(self, pictures, sample, prediction):
        """``score`` (T,)."""
        ImageDraw.Draw(pictures[0]).point((0, 0), fill=(1, 2, 3))
        return super().render(pictures, sample, prediction)


class NoisyRenderer(RightRenderer):
    """Draws at random."""

    def render(self, pictures, sample, prediction):
        """``score`` (T,)."""
        page = super().render(pictures, sample, prediction)
        page.putpixel((0, 0), tuple(random.randrange(256) for _ in range(3)))
        return page


class BlindRenderer(RightRenderer):
    """Shows the frames only."""

    def render(self, pictures, sample, prediction):
        """``score`` (T,)."""
        return pictures[0].copy()


class NumpyRenderer(RightRenderer):
    """Can't draw what still has a gradient."""

    def render(self, pictures, sample, prediction):
        """``score`` (T,)."""
        prediction["score"].numpy()
        return super().render(pictures, sample, prediction)


@pytest.mark.parametrize(
    ("wrong", "point", "part"),
    [
        (ArrayRenderer, "render", "return a PIL image"),
        (GreyRenderer, "render", "an RGB picture, got mode L"),
        (DrawingRenderer, "render", "draw on copies"),
        (NoisyRenderer, "render", "draw nothing at random"),
        (BlindRenderer, "prediction", "draw the prediction"),
        (NumpyRenderer, "devices", "raised RuntimeError"),
    ],
)
def test_wrong_renderer_fails_at_its_point(wrong, point, part):
    line = only_failure(check_renderer, wrong, sample=SAMPLES[0], prediction={"score": torch.tensor([0.1, 2.0, -1.0])})
    assert line.startswith(f"{point}: ")
    assert part in line


def test_right_renderer_passes():
    prediction = {"score": torch.tensor([0.1, 2.0, -1.0])}
    check_renderer(RightRenderer, sample=SAMPLES[0], prediction=prediction)
    check_renderer(RightRenderer, sample=SAMPLES[0], prediction=prediction, pictures=[Image.new("RGB", (9, 20))] * 3)


@pytest.mark.parametrize(
    ("check", "wrong", "arguments"),
    [
        (check_metric, RightMetric, {"predictions": PREDICTIONS, "samples": SAMPLES}),
        (check_renderer, RightRenderer, {"sample": SAMPLES[0], "prediction": {"score": torch.tensor([1.0, 2.0])}}),
    ],
)
def test_what_cannot_be_built_fails_once(check, wrong, arguments):
    line = only_failure(check, wrong, unknown=1, **arguments)
    assert line.startswith("building: raised TypeError")
    assert "takes no arguments" in line
