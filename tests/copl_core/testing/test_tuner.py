"""Wrong tuners."""

import pytest
import torch
from torch import nn

from conformance_parts import failures, only_failure
from copl_core.contracts import Tuner
from copl_core.testing import check_tuner


class Right(Tuner):
    """Shifts the tokens after every paired block.

    Args:
        layout: Of the encoders.
    """

    def __init__(self, *, layout):
        super().__init__(layout=layout)
        self.shift = nn.ParameterDict({str(i): torch.zeros(d) for i, d, _ in layout.paired()})

    @property
    def first_block(self):
        return 0

    def step(self, pair, visual, audio):
        visual, audio = self.walk(pair, visual, audio)
        return visual + self.shift.get(str(pair.index), 0), audio


class LateStart(Right):
    """Says that it begins later than it does."""

    @property
    def first_block(self):
        return 1


class Thaws(Right):
    """Trains a norm of the encoder without saying so."""

    def step(self, pair, visual, audio):
        if pair.visual is not None:
            pair.visual.layer.norm1.requires_grad_(True)
        return super().step(pair, visual, audio)


class KeepsBlocks(Right):
    """Makes the encoder's modules its own."""

    def step(self, pair, visual, audio):
        if pair.visual is not None:
            self.layer = pair.visual.layer
        return super().step(pair, visual, audio)


class CountsForeign(Right):
    """Counts parameters that it does not have."""

    def additional_parameters(self):
        yield from self.named_parameters()
        yield "extra", nn.Parameter(torch.zeros(1))


class VectorLoss(Right):
    """A loss a frame."""

    def auxiliary_losses(self, visual, audio):
        return {"loss_far": visual.pooled.square().mean(dim=1)}


class InfiniteLoss(Right):
    """A loss that is no number."""

    def auxiliary_losses(self, visual, audio):
        return {"loss_far": visual.pooled.sum() * float("inf")}


class Counts(Right):
    """Goes by how often it has been called."""

    calls = 0

    def step(self, pair, visual, audio):
        visual, audio = super().step(pair, visual, audio)
        if not self.training:
            return visual, audio
        self.calls += 1
        return visual * torch.tensor(1.0 + self.calls % 5), audio


class MixesFrames(Right):
    """Lets frames of other clips take part."""

    def step(self, pair, visual, audio):
        visual, audio = super().step(pair, visual, audio)
        return visual - visual.mean(dim=0), audio


class DropsTokens(Right):
    """Prunes tokens, which the head was not told of."""

    def adapt(self, visual, audio, state):
        return type(visual)(visual.pooled, visual.tokens[:, 1:], visual.pyramid), audio


@pytest.mark.parametrize(
    ("wrong", "point", "part"),
    [
        (LateStart, "gradient", "none reaches tuner.shift.0"),
        (Thaws, "gradient", "encoders.visual.layers.0.norm1.bias"),
        (CountsForeign, "parameters", "extra is not; leave it out"),
        (VectorLoss, "auxiliary losses", "finite scalars, loss_far is tensor(["),
        (Counts, "checkpointing", "those of tuner.shift.0"),
        (MixesFrames, "batch of one", "a clip alone"),
        (DropsTokens, "running", "visual tokens of shape (6, 16, 32), got (6, 15, 32)"),
        (InfiniteLoss, "running", "loss_far has NaN or infinity"),
    ],
)
def test_wrong_tuner_fails_at_its_point(wrong, point, part):
    line = only_failure(check_tuner, wrong)
    assert line.startswith(f"{point} (one shared encoder): ")
    assert part in line


def test_a_tuner_that_keeps_blocks_would_save_the_encoder():
    lines = failures(check_tuner, KeepsBlocks)
    assert any(line.startswith("parameters (one shared encoder): expected no parameters of the enc") for line in lines)
    assert any(line.startswith("prompts.safetensors ") and "layer.qkv.bias" in line for line in lines)


def test_right_tuner_passes():
    check_tuner(Right)


class Spare(Right):
    """Has a layer of a published model that nobody calls.

    Args:
        layout: Of the encoders.
    """

    def __init__(self, *, layout):
        super().__init__(layout=layout)
        self.gate = nn.Linear(4, 4)


def test_parameters_unused_on_purpose_are_named_by_pattern():
    assert "tuner.gate.bias, tuner.gate.weight" in only_failure(check_tuner, Spare)
    check_tuner(Spare, unused=("*.gate.*",))
