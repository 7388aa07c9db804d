"""Prompts as keys and values against the literal block: concatenate, run everything, drop the prompt rows."""

from functools import partial

import pytest
import torch

from helpers import tiny_swin
from literal_swin import LiteralCoPL, literal_block
from model_parts import PROMPTS, batch, build

# (input size, window, pair of blocks with and without shift, prompts): windows that tile, that must be padded
# (10x10 tokens by windows of 4), and one that covers the map.
CASES = [
    pytest.param(32, 4, 3, id="tiled"),
    pytest.param(40, 4, 7, id="padded"),
    pytest.param(32, 8, 1, id="one-window"),
    pytest.param(48, 6, 40, id="more-prompts-than-tokens"),
]


def run_both(size: int, window: int, length: int, shifted: int, shared: bool, dtype: torch.dtype):
    """Outputs and prompt gradients of our block and the literal one, on the same inputs."""
    backbone = tiny_swin(size=size, window=window).to(dtype)
    backbone.requires_grad_(False)
    handle = backbone.blocks[shifted]
    tokens = torch.randn(2, (size // 4) ** 2, handle.width, generator=torch.Generator().manual_seed(1)).to(dtype)
    prompts = torch.randn(1 if shared else 2, length, handle.width, generator=torch.Generator().manual_seed(2)).to(
        dtype
    )
    target = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(3)).to(dtype)
    results = []
    for which in ("ours", "literal"):
        leaf = prompts.clone().requires_grad_()
        if which == "ours":
            out = tokens + handle.attention(tokens, leaf)
            out = out + handle.feedforward(out)
        else:
            out = literal_block(handle.block, tokens, leaf)
        (out * target).sum().backward()
        results.append((out.detach(), leaf.grad))
    return results


@pytest.mark.parametrize(("size", "window", "length"), CASES)
@pytest.mark.parametrize("shifted", [0, 1])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("dtype", "output_error", "gradient_error"), [(torch.float32, 1e-5, 1e-4), (torch.float64, 1e-10, 1e-10)]
)
def test_prompts_equal_literal_concatenation(
    size, window, length, shifted, shared, dtype, output_error, gradient_error
):
    (ours, ours_grad), (literal, literal_grad) = run_both(size, window, length, shifted, shared, dtype)
    assert (ours - literal).abs().max() < output_error
    assert ours_grad.abs().max() > 0
    assert (ours_grad - literal_grad).norm() / literal_grad.norm() < gradient_error


def test_the_shift_of_the_second_block_is_real():
    blocks = tiny_swin(size=32, window=4).blocks
    assert not any(blocks[0].block.shift_size)
    assert all(blocks[1].block.shift_size)
    assert blocks[1].block.attn_mask is not None


def test_prompts_change_every_token():
    # float64: a prompt's key competes with position biases of up to 16, so its share can be small.
    backbone = tiny_swin().double()
    tokens = torch.randn(2, 64, 16, dtype=torch.float64)
    plain = backbone.blocks[1].attention(tokens)
    prompted = backbone.blocks[1].attention(tokens, torch.randn(1, 5, 16, dtype=torch.float64))
    assert ((plain - prompted).abs().amax(-1) > 1e-9).all()


def test_a_whole_model_equals_the_literal_one():
    fast, slow, data = build(), build(partial(LiteralCoPL, prompts=PROMPTS)), batch()
    slow.tuner.load_state_dict(fast.tuner.state_dict())
    fast.tuner.losses.clear()
    results = []
    for net in (fast, slow):
        visual, audio = net.encode(data["visual"].flatten(0, 1), data["audio"].flatten(0, 1))
        ((visual.pooled * audio.pooled).sum()).backward()
        results.append((visual.pooled.detach(), torch.cat([p.grad.flatten() for p in net.tuner.parameters()])))
    (ours, ours_gradient), (literal, literal_gradient) = results
    assert (ours - literal).abs().max() < 1e-4
    assert (ours_gradient - literal_gradient).norm() / literal_gradient.norm() < 1e-4
