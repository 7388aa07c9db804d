"""The check of a tuner."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from copl_core.config import Compute
from copl_core.contracts import Tuner
from copl_core.model import TwoStream, input_specs
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report, some
from copl_core.testing.stand_ins import CLIPS, ENCODERS, FRAMES, random_tensor, tiny_encoders, tiny_input, tiny_model
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.tensors import far_apart
from copl_core.testing.trained import check_trained
from copl_core.testing.trial import Outputs, Shape, Trial, disturb


def check_tuner(component: Subject, /, *, unused: Sequence[str] = (), **arguments: Any) -> None:
    """Check a tuner against its contract, ``copl_core.contracts.Tuner``, between the layers of small encoders.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        unused: Patterns (``*.temporal_gate.*``) of parameters that get no gradient on purpose.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("tuner", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Tuner)
        for setting in ENCODERS:
            with report.setting(setting):
                build = partial(_build, candidate, setting)
                if check_trained(report, _trial(build, setting, unused)):
                    report.check("parameters", _check_parameters, build)
                    report.check("auxiliary losses", _check_losses, build)
                    report.check("checkpointing", _check_checkpointing, build)


def _build(candidate: Candidate, setting: str, **compute: Any) -> TwoStream:
    """The tuner in a model; the head of which trains nothing, so that only the tuner's parameters count."""
    visual, audio = tiny_encoders(setting)
    model = tiny_model(tuner=candidate.build, visual=visual, audio=audio)
    model.compute = Compute(**compute)
    model.head.requires_grad_(False)
    return model


def _inputs(model: TwoStream, clips: int) -> dict[str, Tensor]:
    image, sound = input_specs(model.visual, model.audio)
    return {
        "visual": tiny_input(image, clips * FRAMES),
        "audio": tiny_input(sound, clips * FRAMES, seed=1),
    }


def _run(model: TwoStream, inputs: dict[str, Tensor]) -> Outputs:
    visual, audio = model.encode(inputs["visual"], inputs["audio"])
    return {"visual tokens": visual.tokens, "audio tokens": audio.tokens, **model.tuner.auxiliary_losses(visual, audio)}


def _trial(build: Callable[[], TwoStream], setting: str, unused: Sequence[str]) -> Trial:
    visual, audio = tiny_encoders(setting)
    model = tiny_model(visual=visual, audio=audio)
    shapes: dict[str, Shape] = {
        "visual tokens": (CLIPS * FRAMES, model.visual.tokens("visual")[-1], model.visual.widths[-1]),
        "audio tokens": (CLIPS * FRAMES, model.audio.tokens("audio")[-1], model.audio.widths[-1]),
    }
    return Trial(
        build=build,
        inputs=partial(_inputs, model),
        run=_run,
        shapes=shapes,
        in_model=lambda built: cast(TwoStream, built),
        unused=unused,
    )


def _check_parameters(build: Callable[[], TwoStream]) -> None:
    """The tuner owns what it trains, and counts no more than that as additional."""
    model = build()
    _run(model, _inputs(model, 1))
    encoders, own = set(model.encoders.parameters()), set(model.tuner.parameters())
    if encoders & own:
        raise Failure(
            "expected no parameters of the encoders in the tuner, it holds some, and would save them; don't keep "
            "blocks as attributes"
        )
    foreign = [name for name, parameter in model.tuner.additional_parameters() if parameter not in own]
    if foreign:
        raise Failure(f"expected the tuner's own in additional_parameters(), {some(foreign)} is not; leave it out")


def _check_losses(build: Callable[[], TwoStream]) -> None:
    model = build()
    features = model.encode(*_inputs(model, CLIPS).values())
    for name, loss in model.tuner.auxiliary_losses(*features).items():
        if loss.ndim or not loss.isfinite():
            raise Failure(f"expected finite scalars, {name} is {loss}; average over frames and tokens")


def _check_checkpointing(build: Callable[..., TwoStream]) -> None:
    """``compute.checkpointing: block`` runs each step again in the backward pass, and must get the same gradients."""
    kept, again = _gradients(partial(build, checkpointing="none")), _gradients(partial(build, checkpointing="block"))
    odd = [name for name in kept if far_apart(kept[name], again[name], tolerance=1e-4)]
    if odd:
        raise Failure(
            f"expected the same gradients when step runs twice (compute.checkpointing: block), those of "
            f"{some(odd)} differ; let step depend on its arguments and parameters only"
        )


def _gradients(build: Callable[[], TwoStream]) -> dict[str, Tensor]:
    # Whatever the tuner draws at random, it draws the same each time.
    torch.manual_seed(0)
    model = build()
    disturb(model)
    outputs = _run(model.train(), _inputs(model, CLIPS))
    total = torch.stack([(out * random_tensor(*out.shape, seed=7)).sum() for out in outputs.values()]).sum()
    if total.requires_grad:
        torch.autograd.backward(total)
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
