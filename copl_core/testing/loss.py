"""The check of an auxiliary loss."""

from dataclasses import replace
from typing import Any

import torch

from copl_core.contracts import FeatureLayout, Features, Layout, Loss
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report
from copl_core.testing.stand_ins import CLIPS, ENCODERS, FOUR_MAPS, FRAMES, ONE_MAP, tiny_features, tiny_layout
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.tensors import map_tensors, tensors_of
from copl_core.testing.trained import check_trained
from copl_core.testing.trial import Outputs, Trial

#: Features of both encoders: of equal widths, and of unequal ones.
SETTINGS = {"equal widths": (FOUR_MAPS, FOUR_MAPS), "unequal widths": (FOUR_MAPS, ONE_MAP)}


def check_loss(component: Subject, /, **arguments: Any) -> None:
    """Check an auxiliary loss against its contract, ``copl_core.contracts.Loss``.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("loss", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Loss, methods=("forward",), scalar=True)
        for name, (visual, audio) in SETTINGS.items():
            with report.setting(name):
                if check_trained(report, _trial(candidate, visual, audio)):
                    report.check("features", _check_features, candidate, visual, audio)


def _layout(visual: FeatureLayout, audio: FeatureLayout) -> Layout:
    return replace(tiny_layout(ENCODERS[0]), visual_width=visual.width, audio_width=audio.width)


def _features(visual: FeatureLayout, audio: FeatureLayout, clips: int) -> tuple[Features, Features]:
    return tiny_features(visual, clips * FRAMES), tiny_features(audio, clips * FRAMES, seed=1)


def _trial(candidate: Candidate, visual: FeatureLayout, audio: FeatureLayout) -> Trial:
    def run(loss: Loss, features: tuple[Features, Features]) -> Outputs:
        return {"loss": loss(*features)}

    return Trial(
        build=lambda: candidate.build(layout=_layout(visual, audio)),
        inputs=lambda clips: _features(visual, audio, clips),
        run=run,
        shapes={"loss": ()},
    )


def _check_features(candidate: Candidate, visual: FeatureLayout, audio: FeatureLayout) -> None:
    """The gradient reaches the features, and through them what is trained in the encoders."""
    features = map_tensors(_features(visual, audio, CLIPS), lambda x: x.clone().requires_grad_())
    loss = candidate.build(layout=_layout(visual, audio))(*features)
    if loss.requires_grad:
        torch.autograd.backward(loss)
    for name, side in zip(("visual", "audio"), features, strict=True):
        if not any(x.grad is not None and x.grad.any() for x in tensors_of(side)):
            raise Failure(
                f"expected a gradient in the features of both encoders, the {name} ones get none; compute the loss "
                "from both, without detaching"
            )
