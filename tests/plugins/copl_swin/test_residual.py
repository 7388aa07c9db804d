"""The end of a block that is computed again: the same numbers, from one matrix product less."""

import pytest
import torch
from torch import nn

from copl_core.contracts.recompute import recompute_step
from copl_swin.residual import can_be_undone
from helpers import tiny_swin

GENERATOR = torch.Generator().manual_seed(0)
TOKENS = torch.randn(2, 64, 16, generator=GENERATOR)
TARGET = torch.randn(2, 64, 16, generator=GENERATOR)


@pytest.fixture
def handle():
    backbone = tiny_swin()
    backbone.requires_grad_(False)
    return backbone.blocks[0]


def plain(handle, tokens):
    """The block's second half as it is written: residual, linear layers, norm."""
    mlp, norm = handle.block.mlp, handle.block.norm2
    return tokens + norm(mlp.fc2(nn.functional.gelu(mlp.fc1(tokens))))


def recomputed(handle, tokens):
    return recompute_step(handle.add_feedforward, tokens, module=nn.Identity())


def gradient(function, handle, dtype, passes=1):
    """Output, and gradient of a weighted sum of it with respect to the tokens."""
    handle.block.to(dtype)
    tokens = TOKENS.to(dtype, copy=True).requires_grad_()
    out = function(handle, tokens)
    loss = (out * TARGET.to(dtype)).sum()
    for _ in range(passes):
        loss.backward(retain_graph=passes > 1)
    return out.detach(), tokens.grad / passes


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_equals_the_plain_form(handle, dtype, error):
    (out, grad), (plain_out, plain_grad) = (gradient(form, handle, dtype) for form in (recomputed, plain))
    assert torch.equal(out, plain_out)
    assert (grad - plain_grad).norm() < error * plain_grad.norm()


def test_the_last_matrix_product_runs_once(handle):
    calls = []
    for name in ("fc1", "fc2"):
        getattr(handle.block.mlp, name).register_forward_hook(lambda *_, name=name: calls.append(name))
    gradient(recomputed, handle, torch.float32)
    assert calls == ["fc1", "fc2", "fc1"]


def test_each_of_several_backward_passes_computes_it_again(handle):
    _, once = gradient(recomputed, handle, torch.float32)
    _, twice = gradient(recomputed, handle, torch.float32, passes=2)
    assert torch.allclose(twice, once)


def test_under_autocast_it_is_as_near(handle):
    def lower(function):
        def run(handle, tokens):
            with torch.autocast("cpu", torch.bfloat16):
                return function(handle, tokens)

        return run

    (out, grad), (plain_out, plain_grad) = (
        gradient(lower(form), handle, torch.float32) for form in (recomputed, plain)
    )
    assert out.dtype == grad.dtype == torch.float32
    assert torch.allclose(out, plain_out, atol=0.02)
    assert torch.nn.functional.cosine_similarity(grad.flatten(), plain_grad.flatten(), dim=0) > 0.999


def test_a_norm_that_loses_its_input_is_computed_in_full(handle):
    norm = handle.block.norm2
    assert can_be_undone(norm)
    with torch.no_grad():
        norm.weight[3] = 0.0
    assert not can_be_undone(norm)
    (_, grad), (_, plain_grad) = (gradient(form, handle, torch.float32) for form in (recomputed, plain))
    assert torch.equal(grad, plain_grad)


def test_a_changed_output_is_noticed(handle):
    tokens = TOKENS.clone().requires_grad_()
    out = recomputed(handle, tokens)
    with torch.no_grad():
        out.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (out * TARGET).sum().backward()
