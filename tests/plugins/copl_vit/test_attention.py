"""Prompts as keys and values against the literal block: concatenate, run timm's whole block, drop the prompt rows."""

import pytest
import torch

from copl_core.contracts.recompute import recompute_hidden_layers

ITEMS, TOKENS, WIDTH = 3, 9, 16


def rows(count, *, items=ITEMS, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(items, count, WIDTH, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("length", [1, 20])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("dtype", "output_error", "gradient_error"), [(torch.float32, 1e-5, 1e-4), (torch.float64, 1e-10, 1e-10)]
)
def test_prompts_equal_literal_concatenation(tiny_vit, flavour, length, shared, dtype, output_error, gradient_error):
    backbone = tiny_vit(flavour).to(dtype).requires_grad_(False)
    handle = backbone.blocks[1]
    tokens, target = rows(TOKENS, seed=1, dtype=dtype), rows(TOKENS, seed=2, dtype=dtype)
    prompts = rows(length, items=1 if shared else ITEMS, seed=3, dtype=dtype)

    ours_prompts = prompts.clone().requires_grad_()
    ours = tokens + handle.attention(tokens, ours_prompts)
    ours = ours + handle.feedforward(ours)
    (ours * target).sum().backward()
    literal_prompts = prompts.clone().requires_grad_()
    together = torch.cat([tokens, literal_prompts.expand(ITEMS, -1, -1)], dim=1)
    literal = handle.block(together)[:, :TOKENS]
    (literal * target).sum().backward()

    assert (ours - literal).abs().max() < output_error
    assert literal_prompts.grad.abs().max() > 0
    assert (ours_prompts.grad - literal_prompts.grad).norm() / literal_prompts.grad.norm() < gradient_error


def test_gradients_of_tokens_equal_literal_concatenation(tiny_vit):
    handle = tiny_vit().double().requires_grad_(False).blocks[0]
    prompts, grads = rows(4, seed=1, dtype=torch.float64), []
    for literal in (False, True):
        tokens = rows(TOKENS, dtype=torch.float64).requires_grad_()
        if literal:
            out = handle.block(torch.cat([tokens, prompts], dim=1))[:, :TOKENS]
        else:
            out = tokens + handle.attention(tokens, prompts)
            out = out + handle.feedforward(out)
        out.square().sum().backward()
        grads.append(tokens.grad)
    assert (grads[0] - grads[1]).abs().max() < 1e-10


def test_shared_prompts_are_projected_once(tiny_vit):
    handle = tiny_vit().blocks[0]
    seen = []
    handle.block.norm1.register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
    handle.attention(rows(TOKENS), rows(5, items=1))
    assert seen == [(ITEMS, TOKENS, WIDTH), (1, 5, WIDTH)]


def kept_by(backbone, function, *inputs):
    """Sizes, in numbers, of the storages that the backward pass of a call keeps, parameters excluded; its output."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in backbone.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = function(*inputs)
    return sorted(storage.nbytes() // 4 for storage in kept.values()), out


@pytest.mark.parametrize("flavour", ["class-token", "layer-scale"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_attention_branch_keeps_no_more_than_fused_attention_and_its_norms(tiny_vit, flavour, shared):
    backbone = tiny_vit(flavour).requires_grad_(False)
    items = 1 if shared else ITEMS
    tokens, prompts = rows(TOKENS).requires_grad_(), rows(5, items=items, seed=1).requires_grad_()

    sizes, out = kept_by(backbone, backbone.blocks[0].attention, tokens, prompts)
    out.sum().backward()

    heads, statistics = 2, 2  # mean and deviation per row of a norm
    expected = [
        ITEMS * TOKENS * WIDTH,  # tokens, into the norm
        items * 5 * WIDTH,  # prompts, into the norm
        *[ITEMS * TOKENS] * statistics,
        *[items * 5] * statistics,
        ITEMS * TOKENS * WIDTH,  # queries
        *[ITEMS * (TOKENS + 5) * WIDTH] * 2,  # keys and values
        ITEMS * TOKENS * WIDTH,  # what attention yields, before the projection
        ITEMS * TOKENS * heads,  # its normaliser
    ]
    assert sizes == sorted(expected)
    assert prompts.grad.abs().sum() > 0


@pytest.mark.parametrize("flavour", ["class-token", "norms-inside-branches", "gated-feedforward"])
def test_the_feedforward_branch_can_keep_its_input_only(tiny_vit, flavour):
    backbone = tiny_vit(flavour).requires_grad_(False)
    tokens, grads = rows(TOKENS).requires_grad_(), []
    for enabled in (False, True):
        with recompute_hidden_layers(enabled):
            sizes, out = kept_by(backbone, backbone.blocks[0].feedforward, tokens)
        (grad,) = torch.autograd.grad(out.square().sum(), tokens)
        grads.append(grad)
        if enabled:
            assert sizes == [ITEMS * TOKENS * WIDTH]
    assert torch.equal(*grads)


@pytest.mark.parametrize("flavour", ["class-token", "qk-norm"])
def test_runs_under_autocast_with_weights_in_lower_precision(tiny_vit, flavour):
    backbone = tiny_vit(flavour).requires_grad_(False)
    handle = backbone.blocks[0]
    tokens, prompts = rows(TOKENS), rows(5, items=1, seed=1).requires_grad_()
    exact = handle.attention(tokens, prompts)
    backbone.lower_precision(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = handle.attention(tokens, prompts)
        out = out + handle.feedforward(out)
        attended = handle.attention(tokens, prompts)
    out.float().sum().backward()
    assert attended.dtype == torch.bfloat16
    assert torch.allclose(attended.float(), exact, atol=0.02 * exact.abs().max().item())
    assert prompts.grad.isfinite().all()
    assert prompts.grad.abs().sum() > 0
