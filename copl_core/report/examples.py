"""The test split once more, for what no file of the work dir holds: parts, baselines, and single clips."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from copl_core.api import CoplError
from copl_core.checkpoint import check_components
from copl_core.config import check_config
from copl_core.contracts import Breakdown, Dataset, Metric
from copl_core.data import resample
from copl_core.engine.render import render_clip
from copl_core.engine.test import TestResult, test
from copl_core.registry import Registry
from copl_core.report.run import Run

SPLIT = "test"
#: Sample rates that MP3 has; sounds of others become the nearest one above, or the highest.
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
#: Widest picture of a clip, in pixels, and its JPEG quality.
WIDEST, QUALITY = 1400, 85


@dataclass(frozen=True)
class Example:
    """A clip to look at and listen to.

    Attributes:
        name: Of the clip.
        score: The metric's score of the clip.
        picture: A data URI.
        sound: A data URI; empty if the data set gives no sound.
    """

    name: str
    score: float
    picture: str
    sound: str


@dataclass(frozen=True)
class Tested:
    """What a test of the export has found.

    Attributes:
        scores: Test scores, now.
        clips: How many clips were tested.
        breakdown: Scores over parts of them.
        baselines: Scores of answers that look at no clip; empty if the task has none.
        baselines_missing: Why they can't be computed, if that is so.
        best: The best clips, the best first; empty if the task ranks none.
        worst: The worst ones, the worst first.
    """

    scores: Mapping[str, float]
    clips: int
    breakdown: Breakdown
    baselines: Mapping[str, Mapping[str, float]]
    baselines_missing: str
    best: Sequence[Example]
    worst: Sequence[Example]


def retest(run: Run, registry: Registry, *, examples: int, device: torch.device) -> Tested:
    """Test the export of a finished run.

    Args:
        run: The run.
        registry: Resolves its components.
        examples: Clips to show of the best, and of the worst.
        device: Where to run.

    Raises:
        CoplError: Components, data or weights are not there or do not fit any more.
    """
    result = score_export(run, registry, device)
    baselines, missing = find_baselines(result)
    best, worst = rank_clips(result.metric, result.measured, examples)
    return Tested(
        scores=result.scores,
        clips=len(result.measured),
        breakdown=result.metric.breakdown(list(result.measured.values())),
        baselines=baselines,
        baselines_missing=missing,
        best=[draw_example(result, index, score, device) for index, score in best],
        worst=[draw_example(result, index, score, device) for index, score in worst],
    )


def score_export(run: Run, registry: Registry, device: torch.device) -> TestResult:
    """Score the export of a finished run on the test split.

    Raises:
        CoplError: See ``retest``.
    """
    check_components(run.folder, run.components, registry.table, whole=True)
    experiment = check_config(run.config, registry, str(run.folder))
    return test(experiment, registry, prompts=run.export, split=SPLIT, device=device)


def rank_clips(
    metric: Metric, measured: Mapping[int, object], count: int
) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """The best and the worst clips, by index and score; equal ones in the order of the data set, no clip in both.

    Args:
        metric: Gives the scores.
        measured: What it has measured of each clip.
        count: Clips of either kind, where there are enough.
    """
    scores = [(index, metric.clip_score(result)) for index, result in measured.items()]
    ranked = sorted([(index, score) for index, score in scores if score is not None], key=lambda each: -each[1])
    best = ranked[: min(count, (len(ranked) + 1) // 2)]
    worst = sorted(ranked[len(best) :], key=lambda each: each[1])[:count]
    return best, worst


def find_baselines(result: TestResult) -> tuple[Mapping[str, Mapping[str, float]], str]:
    """The baselines, and why there are none if something is amiss."""
    if type(result.metric).baselines is Metric.baselines:
        return {}, ""  # The training split need not be there then.
    tested = _labels(result.session.datasets[SPLIT], list(result.measured))
    try:
        dataset = result.session.task.dataset(split="train")
    except CoplError as error:
        return {}, f"the training split can't be read: {error}"
    training = _labels(dataset, range(len(dataset)))
    if not training or not tested:
        return {}, "the data set does not tell its labels"
    return result.metric.baselines(training, tested), ""


def _labels(dataset: Dataset, indices: Sequence[int]) -> list[dict[str, object]]:
    return [labels for index in indices if (labels := dataset.labels(index))]


def draw_example(result: TestResult, index: int, score: float, device: torch.device) -> Example:
    """A tested clip, by its index in the data set, with its picture and its sound."""
    sample, picture = render_clip(result.session, SPLIT, index, device)
    sound = result.session.datasets[SPLIT].sound(index)
    return Example(
        name=str(sample.get("name", f"clip {index}")),
        score=score,
        picture=picture_uri(picture),
        sound="" if sound is None else sound_uri(*sound),
    )


def picture_uri(picture: Image.Image) -> str:
    """A picture as a JPEG data URI."""
    if picture.width > WIDEST:
        height = max(1, round(picture.height * WIDEST / picture.width))
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=QUALITY)
    return _data_uri("image/jpeg", buffer)


def sound_uri(waveform: Tensor, rate: int) -> str:
    """A waveform (S,) as an MP3 data URI: small, and every browser plays it."""
    import soundfile

    target = next((each for each in RATES if each >= rate), RATES[-1])
    buffer = io.BytesIO()
    soundfile.write(buffer, resample(waveform, rate, target).numpy(), target, format="MP3")
    return _data_uri("audio/mpeg", buffer)


def _data_uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
