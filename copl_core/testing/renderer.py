"""The check of a renderer."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from copl_core.contracts import Names, Renderer, Sample
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report
from copl_core.testing.stand_ins import FRAMES
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.tensors import changed, map_tensors


def check_renderer(
    component: Subject,
    /,
    *,
    sample: Sample,
    prediction: Mapping[str, Tensor],
    pictures: Sequence[Image.Image] | None = None,
    names: Names | None = None,
    frames: int = FRAMES,
    **arguments: Any,
) -> None:
    """Check a renderer against its contract, ``copl_core.contracts.Renderer``.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        sample: One clip, as the task's data set yields it.
        prediction: What a head predicts for it, without the leading B; not the same number everywhere.
        pictures: Its T frames; made up if None.
        names: What its numbers stand for.
        frames: T, where the frames are made up.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("renderer", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Renderer, methods=("render",))
        renderer: Renderer | None = report.build(lambda: candidate.build(names=names or {}))
        if renderer is None:
            return
        shown = list(pictures) if pictures is not None else _pictures(frames)
        if report.check("render", _check_render, renderer, shown, sample, prediction):
            report.check("prediction", _check_prediction, renderer, shown, sample, prediction)
            report.check("devices", _check_devices, renderer, shown, sample, prediction)


def _pictures(frames: int) -> list[Image.Image]:
    """Frames of different colours, wider than high."""
    return [Image.new("RGB", (40, 30), (80 * index % 256, 120, 40 * index % 256)) for index in range(frames)]


def _check_render(
    renderer: Renderer, pictures: list[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]
) -> None:
    before = map_tensors((sample, dict(prediction)), torch.clone)
    copies = [picture.copy() for picture in pictures]
    drawn = renderer.render(pictures, sample, prediction)
    if not isinstance(drawn, Image.Image) or not min(drawn.size):
        raise Failure(f"expected a picture, got {drawn!r}; return a PIL image")
    if drawn.mode != "RGB":
        raise Failure(f"expected an RGB picture, got mode {drawn.mode}; convert it")
    if changed(before, (sample, dict(prediction))) or any(
        picture.tobytes() != copy.tobytes() for picture, copy in zip(pictures, copies, strict=True)
    ):
        raise Failure("expected pictures, sample and prediction as they were; draw on copies")
    if renderer.render(pictures, sample, prediction).tobytes() != drawn.tobytes():
        raise Failure("expected the same picture of the same clip, two differ; draw nothing at random")


def _check_prediction(
    renderer: Renderer, pictures: list[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]
) -> None:
    """Another prediction is seen: this one backwards, or, where that hardly differs, its negative."""
    drawn = renderer.render(pictures, sample, prediction)
    for other in (lambda x: x.flip(list(range(x.ndim))), torch.neg):
        again = renderer.render(pictures, sample, {name: other(each) for name, each in prediction.items()})
        if again.size != drawn.size or again.tobytes() != drawn.tobytes():
            return
    raise Failure(
        "expected another picture of another prediction (this one backwards, its negative), it is the same; draw the "
        "prediction"
    )


def _check_devices(
    renderer: Renderer, pictures: list[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]
) -> None:
    """A prediction may still carry a gradient, and lie on the GPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fed = {
        name: each.detach().clone().to(device).requires_grad_(each.is_floating_point())
        for name, each in prediction.items()
    }
    renderer.render(pictures, sample, fed)
