"""A component in one setting, and what the points do with it: build it, run it, compare what comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from copl_core.model import TwoStream
from copl_core.testing.report import Failure
from copl_core.testing.stand_ins import random_tensor
from copl_core.testing.tensors import far_apart

Outputs: TypeAlias = Mapping[str, Tensor]
#: Sizes: a number, one of several, or None for any.
Shape: TypeAlias = tuple[int | tuple[int, ...] | None, ...]

#: How far lower precision may be from float32, relative to the size of the output.
_NEAR = 0.15


@dataclass(frozen=True)
class Trial:
    """A component in one setting.

    Attributes:
        build: Makes the component anew; initial values come from torch's generator.
        inputs: Makes what a number of clips feeds it; what the first clip feeds doesn't depend on how many follow.
        run: Feeds it: the outputs by name, each for BT, B or 1 items (shared by all), or a scalar.
        shapes: Of the outputs for ``CLIPS`` clips, by name.
        objective: What training would minimise; None: a random projection of the outputs.
        in_model: Puts the component into a model, whose files then hold it; None: as part of a tuner.
        unused: Patterns of parameters that get no gradient on purpose.
    """

    build: Callable[[], nn.Module]
    inputs: Callable[[int], Any]
    run: Callable[[Any, Any], Outputs]
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    objective: Callable[[Any, Any], Tensor] | None = None
    in_model: Callable[[nn.Module], TwoStream] | None = None
    unused: Sequence[str] = ()


def build(trial: Trial, seed: int = 0) -> nn.Module:
    """Build the component anew.

    Raises:
        Failure: What is built is no module.
    """
    torch.manual_seed(seed)
    module = trial.build()
    if not isinstance(module, nn.Module):
        raise Failure(f"expected an nn.Module, got {type(module).__name__}; derive it from the contract of its kind")
    return module


@torch.no_grad()
def disturb(module: nn.Module, seed: int = 0) -> None:
    """Add small random numbers to all that trains: a gate that starts at zero would let nothing through."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)


def disturbed(trial: Trial, seed: int = 0) -> nn.Module:
    """Build the component anew and ``disturb`` it."""
    module = build(trial, seed)
    disturb(module, seed)
    return module


@torch.no_grad()
def run(trial: Trial, module: nn.Module, inputs: Any) -> Outputs:
    """Run the component in evaluation mode."""
    outputs = trial.run(module.eval(), inputs)
    return {name: each.detach() if isinstance(each, Tensor) else each for name, each in outputs.items()}


def objective(trial: Trial, module: nn.Module, inputs: Any) -> Tensor:
    """What training would minimise, a scalar; without a graph where no output has one."""
    if trial.objective is not None:
        return trial.objective(module, inputs)
    outputs = [output for output in trial.run(module, inputs).values() if output.requires_grad]
    parts = [(output * random_tensor(*output.shape, seed=7)).sum() for output in outputs]
    return torch.stack(parts).sum() if parts else torch.zeros(())


def expect_equal(expected: Outputs, outputs: Outputs, wanted: str, remedy: str) -> None:
    """Compare outputs that should be the same.

    Raises:
        Failure: They are not; says what was ``wanted`` and the ``remedy``.
    """
    for name, output in outputs.items():
        other = expected[name]
        if output.shape != other.shape:
            raise Failure(f"{wanted}, {name} is {tuple(output.shape)} instead of {tuple(other.shape)}; {remedy}")
        if far_apart(other, output, tolerance=1e-4):
            off = float((output.double() - other.double()).abs().max())
            raise Failure(f"{wanted}, {name} is off by up to {off:.2g}; {remedy}")


def expect_near(exact: Outputs, lower: Outputs, where: str) -> None:
    """Compare outputs in lower precision with exact ones.

    Raises:
        Failure: They are far apart.
    """
    for name, output in exact.items():
        if output.is_floating_point():
            error = float((lower[name].detach().float() - output).norm() / output.norm().clamp(min=1e-6))
            if not error < _NEAR:
                raise Failure(
                    f"expected nearly the numbers of float32 {where}, {name} is {error:.0%} off; compute what needs "
                    "range or precision in float32 (torch.autocast(..., enabled=False))"
                )
