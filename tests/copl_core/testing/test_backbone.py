"""Wrong backbones: a right small one, with one thing wrong in each."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conformance_parts import failures, only_failure
from copl_core.api import WeightsError
from copl_core.contracts import InputSpec, step_memory
from copl_core.testing import check_backbone
from copl_core.testing.stand_ins import TinyBackbone, TinyBlock

SMALL = {"width": 16, "depth": 2, "size": 8}


class Small(TinyBackbone):
    """A small transformer, as images only."""

    def __init__(self):
        super().__init__(**SMALL)
        self.input_spec = InputSpec(image=self.input_spec.image)


class Blocks(Small):
    """With blocks of another class."""

    block = TinyBlock

    def __init__(self):
        super().__init__()
        self.blocks = [self.block(layer, 16) for layer in self.layers]


class NoInput(Small):
    """Eats nothing."""

    def __init__(self):
        super().__init__()
        self.input_spec = InputSpec()


class OddStages(Small):
    """Has more stages than blocks."""

    def __init__(self):
        super().__init__()
        self.stages = (2, 2)


class NoBlocks(Small):
    """Has none."""

    def __init__(self):
        super().__init__()
        self.blocks, self.stages = [], ()

    def identity(self):
        return {"architecture": "nothing"}


class MachinePath(Small):
    """Tells where its weights lie on this machine."""

    def identity(self):
        return {"weights": str(Path(__file__).absolute())}


class NotJson(Small):
    """Puts an object into its identity."""

    def identity(self):
        return {"weights": Path("weights.pth")}


class NoWeights(Small):
    """Looks for weights that are not there."""

    def load_pretrained(self):
        raise WeightsError("no encoder weights at weights.pth")


class Miscounts(Small):
    """Announces other tokens than it gives."""

    def tokens(self, modality):
        return (5,) * self.depth


class Mislays(Small):
    """Announces other maps than it gives."""

    def layout(self, modality):
        return replace(super().layout(modality), pyramid=((16, 4, 1),))


class EmbedsUnseen(Small):
    """Says nothing of shapes."""

    def embed(self, x):
        return super().embed(x)


class ForgetsWeights(Small):
    """Keeps a scale where no state dict finds it."""

    made = itertools.count(1)

    def __init__(self):
        super().__init__()
        self.scale = next(self.made)

    def embed(self, x):
        """(BT, 3, H, W) -> (BT, N, d)."""
        return super().embed(x) * self.scale


class IgnoresPrompts(Blocks):
    """Prompts come to nothing."""

    class block(TinyBlock):  # noqa: N801
        def attention(self, tokens, prompts=None):
            return super().attention(tokens)


class OrdersPrompts(Blocks):
    """Prompts get a position."""

    class block(TinyBlock):  # noqa: N801
        def attention(self, tokens, prompts=None):
            if prompts is not None:
                place = torch.arange(prompts.shape[1], device=prompts.device)[:, None]
                prompts = prompts + place * torch.linspace(-1, 1, prompts.shape[2], device=prompts.device)
            return super().attention(tokens, prompts)


class FirstFrameOnly(Blocks):
    """Shared prompts reach the first frame only."""

    class block(TinyBlock):  # noqa: N801
        def attention(self, tokens, prompts=None):
            if prompts is None or prompts.shape[0] == tokens.shape[0]:
                return super().attention(tokens, prompts)
            return torch.cat([super().attention(tokens[:1], prompts), super().attention(tokens[1:])])


class KeepsPrompts(Blocks):
    """Prompts of one call are there in the next."""

    class block(TinyBlock):  # noqa: N801
        last = None

        def attention(self, tokens, prompts=None):
            if prompts is not None:
                self.last = prompts
            fits = self.last is not None and self.last.shape[0] == tokens.shape[0]
            return super().attention(tokens, self.last if fits else prompts)


class NoGradient(Blocks):
    """Runs the attention without autograd."""

    class block(TinyBlock):  # noqa: N801
        @torch.no_grad()
        def attention(self, tokens, prompts=None):
            return super().attention(tokens, prompts)


class FramesMeet(Blocks):
    """Prompts of one frame are seen by all."""

    class block(TinyBlock):  # noqa: N801
        def attention(self, tokens, prompts=None):
            return super().attention(tokens, None if prompts is None else prompts.flatten(0, 1)[None])


class Thaws(Blocks):
    """Trains its norms."""

    class block(TinyBlock):  # noqa: N801
        def attention(self, tokens, prompts=None):
            self.layer.norm1.requires_grad_(True)
            return super().attention(tokens, prompts)


class NarrowBranch(Blocks):
    """A branch that drops a token."""

    class block(TinyBlock):  # noqa: N801
        def feedforward(self, tokens):
            return super().feedforward(tokens)[:, 1:]


class DropsResidual(Blocks):
    """Ends its blocks without the tokens that came in."""

    class block(TinyBlock):  # noqa: N801
        def add_feedforward(self, tokens):
            return self.feedforward(tokens)


class ForgetsResidual(Blocks):
    """Its residual gets no gradient where a block is computed again."""

    class block(TinyBlock):  # noqa: N801
        def add_feedforward(self, tokens):
            if step_memory() is None:
                return super().add_feedforward(tokens)
            return tokens.detach() + self.feedforward(tokens)


class ExactBranch(Blocks):
    """Multiplies outside autocast, with matrices that may be stored in another precision."""

    class block(TinyBlock):  # noqa: N801
        def feedforward(self, tokens):
            with torch.autocast("cpu", enabled=False):
                return super().feedforward(tokens)


@pytest.mark.parametrize(
    ("wrong", "start", "part"),
    [
        (NoInput, "description: ", "an image or an audio format in input_spec"),
        (OddStages, "description: ", "stages to add up to the 2 blocks, got (2, 2)"),
        (NoBlocks, "description: ", "there are none"),
        (MachinePath, "identity: ", "no machine paths, got '/"),
        (NotJson, "identity: ", "plain JSON types, got {'weights': PosixPath('weights.pth')}"),
        (NoWeights, "weights: ", "no encoder weights at weights.pth"),
        (Miscounts, "blocks (visual): ", "expected (2, 5, 16) from embed for block 0, as tokens(modality)"),
        (NarrowBranch, "blocks (visual): ", "from feedforward of block 0 for its residual"),
        (Mislays, "running (visual): ", "map 0 of shape (2, 16, 4, 1), got (2, 16, 2, 2)"),
        (EmbedsUnseen, "docstring of embed: ", "the shapes of its tensors"),
        (ForgetsWeights, "prompts.safetensors (visual): ", "registered buffer"),
        (DropsResidual, "residual (visual): ", "add_feedforward of block 0 to give tokens + feedforward(tokens)"),
        (ForgetsResidual, "residual (visual): ", "its gradient with compute.checkpointing: block"),
        (IgnoresPrompts, "prompts (visual): ", "let queries see them as keys and values"),
        (OrdersPrompts, "prompts (visual): ", "the order of the prompts not to matter"),
        (FirstFrameOnly, "prompts (visual): ", "(1, P, d) to mean the same prompts for every frame"),
        (KeepsPrompts, "prompts (visual): ", "keep none of them"),
        (NoGradient, "gradient (visual): ", "run nothing under no_grad"),
        (FramesMeet, "batch of one (visual): ", "a clip alone"),
        (ExactBranch, "bf16 autocast (visual): ", "raised RuntimeError"),
    ],
)
def test_wrong_backbone_fails_at_its_point(wrong, start, part):
    lines = failures(check_backbone, wrong)
    assert any(line.startswith(start) and part in line for line in lines), lines
    # What is wrong with prompts may show at more than one point.
    related = {"prompts", "gradient"}
    assert {point_of(line) for line in lines} <= {point_of(start), *related}, lines


def point_of(line):
    return line.partition(":")[0].partition(" (")[0]


def test_a_backbone_that_trains_itself():
    assert any("frozen parameters to stay frozen" in line for line in failures(check_backbone, Thaws))


def original(backbone, x):
    """The tiny transformer once more, with torch's own attention."""
    tokens = torch.nn.functional.conv2d(x, backbone.patches.weight, backbone.patches.bias, stride=4)
    tokens = tokens.flatten(2).transpose(1, 2)
    for layer in backbone.layers:
        inside = layer.norm1(tokens)
        mixed, _ = torch.nn.functional.multi_head_attention_forward(
            *[inside.transpose(0, 1)] * 3,
            embed_dim_to_check=16,
            num_heads=2,
            in_proj_weight=layer.qkv.weight,
            in_proj_bias=layer.qkv.bias,
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=layer.proj.weight,
            out_proj_bias=layer.proj.bias,
        )
        tokens = tokens + mixed.transpose(0, 1)
        tokens = tokens + layer.down(torch.nn.functional.gelu(layer.up(layer.norm2(tokens))))
    return backbone.norm(tokens)


class NoScale(Blocks):
    """Forgets the square root of the width."""

    class block(TinyBlock):  # noqa: N801
        def attention(self, tokens, prompts=None):
            return super().attention(tokens * 1.5, prompts) * 1.01


def test_comparison_with_the_original():
    check_backbone(Small, reference=original)
    line = only_failure(check_backbone, NoScale, reference=original)
    assert line.startswith("no prompts: expected the original's tokens without prompts, they are off by up to")
    line = only_failure(check_backbone, Small, reference=lambda backbone, x: original(backbone, x)[:, 1:])
    assert line.startswith("no prompts: expected tokens (2, 3, 16) as in the original, got (2, 4, 16)")


def test_stand_in_serves_both_modalities():
    check_backbone(TinyBackbone, **SMALL)
