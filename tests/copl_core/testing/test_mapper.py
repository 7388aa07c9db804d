"""Wrong mappers: one for each way in which something that trains can break its contract."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from conformance_parts import failures, only_failure
from copl_core.contracts import Mapper
from copl_core.testing import check_mapper


class Right(Mapper):
    """A linear layer.

    Args:
        source: Width of the incoming prompts.
        target: Width of the outgoing prompts.
        bias: With a bias.
    """

    def __init__(self, *, source, target, bias=True):
        super().__init__()
        self.target = target
        self.map = nn.Linear(source, target, bias=bias)

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts)


class NarrowsToSource(Right):
    """Takes the widths for one another."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts)[..., : prompts.shape[-1]]


class InDouble(Right):
    """Computes in float64."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts).double()


class DividesByZero(Right):
    """Has a logarithm of what may be negative."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts).log()


class ReturnsTuple(Right):
    """Returns more than it should."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts), None


class Breaks(Right):
    """Has a slip of the pen."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.mop(prompts)


class CannotBeBuilt(Right):
    """Refuses its widths."""

    def __init__(self, *, source, target):
        raise ValueError("no such widths")


class NoModule(Mapper):
    """Is something else once it is built.

    Args:
        source: Unused.
    """

    def __new__(cls, **_):
        return lambda prompts: prompts

    def __init__(self, *, source):
        pass

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""


class DrawsFromNumpy(Right):
    """Initial values from another generator."""

    def __init__(self, *, source, target):
        super().__init__(source=source, target=target)
        with torch.no_grad():
            self.map.bias.copy_(torch.from_numpy(np.random.default_rng().normal(size=target)))


class Noisy(Right):
    """Drops out while it is tested."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return functional.dropout(self.map(prompts), training=True)


class InPlace(Right):
    """Changes what it was given."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        prompts.clamp_(max=0.5)
        return self.map(prompts)


class MixesClips(Right):
    """Centres over the batch."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts - prompts.mean(dim=0))


class Squeezes(Right):
    """Loses the dimension of the prompts when there is one prompt."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts).squeeze(1)


class HasUnused(Right):
    """Has a layer that it never calls."""

    def __init__(self, *, source, target):
        super().__init__(source=source, target=target)
        self.spare = nn.Linear(source, target)


class Detaches(Right):
    """Computes under no_grad."""

    @torch.no_grad()
    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts)


class Thaws(Right):
    """Has a frozen layer, and trains it all the same."""

    def __init__(self, *, source, target):
        super().__init__(source=source, target=target)
        self.frozen = nn.Linear(target, target).requires_grad_(False)

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        self.frozen.bias.requires_grad_(True)
        return self.frozen(self.map(prompts))


class ChangesFrozen(Right):
    """Moves what is frozen."""

    def __init__(self, *, source, target):
        super().__init__(source=source, target=target)
        self.mean = nn.Parameter(torch.zeros(target), requires_grad=False)

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        if self.training:
            self.mean += 1
        return self.map(prompts) + self.mean


class HidesState(Right):
    """Keeps a random number where no state dict finds it."""

    def __init__(self, *, source, target):
        super().__init__(source=source, target=target)
        self.factor = random.random() + 1

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts) * self.factor


class GrowsInForward(Right):
    """Makes a parameter on its first call, so that a new build has no place for it."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        if not hasattr(self, "scale"):
            self.scale = nn.Parameter(torch.ones(self.target, device=prompts.device))
        return self.map(prompts) * self.scale


class WantsFloat32(Right):
    """Multiplies outside autocast what comes in half precision."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        with torch.autocast(prompts.device.type if prompts.device.type != "meta" else "cpu", enabled=False):
            return self.map(prompts)


class Cancels(Right):
    """Adds and subtracts what half precision can't hold."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return (self.map(prompts) + 100) - 100


class OnTheCpu(Right):
    """Puts its parameters on the CPU whatever the default device is."""

    def __init__(self, *, source, target):
        super().__init__(source=source, target=target)
        self.scale = nn.Parameter(torch.ones(target, device="cpu"))

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts) * self.scale


class AddsFromTheCpu(Right):
    """Makes a tensor where its input does not lie."""

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts) + torch.linspace(0, 1, self.target)


class AnswersFromTheCpu(Mapper):
    """Always answers the same, from the CPU.

    Args:
        source: Width of the incoming prompts.
        target: Width of the outgoing prompts.
    """

    def __init__(self, *, target):
        super().__init__()
        self.target = target

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return torch.zeros(len(prompts), prompts.shape[1], self.target)


@pytest.mark.parametrize(
    ("wrong", "point", "parts"),
    [
        (NarrowsToSource, "running", ["of shape (6, 5, 48), got (6, 5, 32)"]),
        (InDouble, "running", ["in float32 as the inputs are, got torch.float64"]),
        (DividesByZero, "running", ["expected finite numbers", "NaN or infinity"]),
        (ReturnsTuple, "running", ["to be a tensor, got tuple"]),
        (Breaks, "running", ["raised AttributeError", "no attribute 'mop'", "test_mapper.py"]),
        (CannotBeBuilt, "building", ["raised ValueError: no such widths"]),
        (NoModule, "building", ["expected an nn.Module, got function", "derive it"]),
        (DrawsFromNumpy, "seed", ["two builds differ in map.bias", "torch's generator"]),
        (Noisy, "determinism", ["equal outputs of two runs in evaluation mode", "off by up to"]),
        (InPlace, "inputs", ["have been changed", "in place"]),
        (MixesClips, "batch of one", ["a clip alone", "off by up to", "not see each other"]),
        (Squeezes, "running", ["of shape (6, 1, 48), got (6, 48)"]),
        (HasUnused, "gradient", ["none reaches spare.bias, spare.weight", "freeze it"]),
        (Detaches, "gradient", ["it has no gradient; don't detach it"]),
        (Thaws, "gradient", ["frozen parameters to stay frozen, frozen.bias have been unfrozen"]),
        (ChangesFrozen, "gradient", ["mean have changed"]),
        (HidesState, "prompts.safetensors", ["the same outputs after saving and loading", "registered buffer"]),
        (GrowsInForward, "prompts.safetensors", ["raised WeightsError", "part.scale"]),
        (WantsFloat32, "bf16 autocast", ["raised RuntimeError", "BFloat16"]),
        (Cancels, "bf16 autocast", ["nearly the numbers of float32 under bf16 autocast", "% off"]),
        (OnTheCpu, "meta device", ["scale has some", "without device"]),
        (AddsFromTheCpu, "devices", ["on another device than the CPU it raises", "device=x.device"]),
        (AnswersFromTheCpu, "devices", ["outputs on the device of the inputs", "lies on the CPU"]),
    ],
)
def test_wrong_mapper_fails_at_its_point(wrong, point, parts):
    line = only_failure(check_mapper, wrong)
    assert line.startswith(f"{point} (source 32, target 48): ")
    assert all(part in line for part in parts), line


def test_right_mapper_passes():
    check_mapper(Right)
    check_mapper(Right, bias=False)


def test_a_mapper_that_only_fails_in_one_setting_names_it():
    class Narrows(Right):
        """Forgets to widen."""

        def forward(self, prompts):
            """(BT, P, source) -> (BT, P, target)."""
            return self.map(prompts)[..., :40]

    assert only_failure(check_mapper, Narrows).startswith("running (source 32, target 48)")

    class Widens(Right):
        """Never narrows."""

        def forward(self, prompts):
            """(BT, P, source) -> (BT, P, target)."""
            return self.map(prompts) if prompts.shape[-1] <= self.target else prompts

    assert only_failure(check_mapper, Widens).startswith("running (source 48, target 32)")


def test_all_failures_are_told_at_once():
    class Bad(Right):
        def __init__(self, *, source, target, odd=1):
            super().__init__(source=source, target=target)
            self.spare = nn.Linear(2, 2)

        def forward(self, prompts):
            return self.map(prompts) + random.random() * torch.linspace(0, 1, self.target)

    points = [line.partition(":")[0] for line in failures(check_mapper, Bad)]
    setting = " (source 32, target 48)"
    assert points == [
        "docstring",
        "docstring of arguments",
        "docstring of forward",
        f"determinism{setting}",
        f"gradient{setting}",
        f"devices{setting}",
    ]
