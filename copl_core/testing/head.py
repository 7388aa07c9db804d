"""The check of a head."""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from copl_core.contracts import Batch, FeatureLayout, Features, Head, Names, Sample
from copl_core.data import collate
from copl_core.model import TwoStream
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report, some
from copl_core.testing.stand_ins import CLIPS, FOUR_MAPS, FRAMES, ONE_MAP, tiny_features, tiny_model
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.trained import check_trained
from copl_core.testing.trial import Outputs, Trial

#: Features of visual and audio encoder: either may have stages, or not.
SETTINGS = {
    "visual maps at four scales, audio at one": (FOUR_MAPS, ONE_MAP),
    "visual map at one scale, audio at four": (ONE_MAP, FOUR_MAPS),
}

_Inputs: TypeAlias = tuple[Features, Features, Batch]


def check_head(
    component: Subject,
    /,
    *,
    samples: Sequence[Sample],
    names: Names | None = None,
    frames: int = FRAMES,
    unused: Sequence[str] = (),
    not_labels: Sequence[str] = (),
    **arguments: Any,
) -> None:
    """Check a head against its contract, ``copl_core.contracts.Head``, on features of small made-up encoders.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        samples: At least two clips as the task's data set yields them; ``visual`` and ``audio`` may be left out.
        names: What their numbers stand for.
        frames: T.
        unused: Patterns (``match.*``) of parameters that get no gradient on purpose.
        not_labels: What a prediction may read of a sample although ``losses`` reads it as well, such as a padding mask.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
        ValueError: There are fewer than two samples.
    """
    if len(samples) < CLIPS:
        raise ValueError(f"expected at least {CLIPS} samples, got {len(samples)}")
    candidate = Candidate("head", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Head, methods=("forward",))
        for setting, (visual, audio) in SETTINGS.items():
            build = partial(candidate.build, visual=visual, audio=audio, frames=frames, names=names or {})
            inputs = partial(_inputs, samples, visual, audio, frames)
            trial = Trial(
                build=build,
                inputs=inputs,
                run=_predict,
                objective=_objective,
                in_model=partial(_in_model, frames),
                unused=unused,
            )
            with report.setting(setting):
                if check_trained(report, trial):
                    report.check("predictions", _check_predictions, build().eval(), inputs(CLIPS))
                    report.check("losses", _check_losses, build().train(), inputs(CLIPS))
                    report.check("labels", _check_labels, build().eval(), inputs(CLIPS), not_labels)


def _inputs(samples: Sequence[Sample], visual: FeatureLayout, audio: FeatureLayout, frames: int, clips: int) -> _Inputs:
    batch = collate(samples[:clips])
    if "negative" in batch:
        batch["negative_features"] = tiny_features(visual, clips * frames, seed=2)
    return tiny_features(visual, clips * frames), tiny_features(audio, clips * frames, seed=1), batch


def _predict(head: Head, inputs: _Inputs) -> Outputs:
    predictions: Outputs = head(*inputs)
    return predictions


def _objective(head: Head, inputs: _Inputs) -> Tensor:
    losses = head.losses(head(*inputs), inputs[2])
    return torch.stack([loss.float() for loss in losses.values()]).sum()


def _in_model(frames: int, head: nn.Module) -> TwoStream:
    return tiny_model(head=lambda **_: head, frames=frames)  # type: ignore[arg-type]


@torch.no_grad()
def _check_predictions(head: Head, inputs: _Inputs) -> None:
    predictions = head(*inputs)
    odd = [name for name, each in predictions.items() if not each.ndim or each.shape[0] != CLIPS]
    if not predictions or odd:
        raise Failure(
            f"expected tensors with a leading B = {CLIPS} in evaluation mode, got "
            f"{some(f'{name} {tuple(predictions[name].shape)}' for name in odd) or 'none'}; bring frames back to clips"
        )


def _check_losses(head: Head, inputs: _Inputs) -> None:
    losses = head.losses(head(*inputs), inputs[2])
    odd = [name for name, loss in losses.items() if loss.ndim or not loss.isfinite() or not loss.requires_grad]
    if not losses or odd:
        raise Failure(
            f"expected finite scalars with a gradient, got {some(f'{name} = {losses[name]}' for name in odd) or 'none'}"
            "; average over the batch, without detaching"
        )


class _Noted(dict[str, Any]):
    """A batch that notes what is read of it."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


@torch.no_grad()
def _check_labels(head: Head, inputs: _Inputs, not_labels: Sequence[str]) -> None:
    """What the losses read of a batch are labels, which a prediction in evaluation mode must not look at."""
    visual, audio, batch = inputs
    seen, labels = _Noted(batch), _Noted(batch)
    predictions = head(visual, audio, seen)
    head.losses(predictions, labels)
    looked_at = sorted((seen.read & labels.read).difference(not_labels))
    if looked_at:
        raise Failure(
            f"expected forward not to look at labels in evaluation mode, it reads {some(looked_at)}, as losses does; "
            "read labels in losses only, or name what is none in not_labels"
        )
