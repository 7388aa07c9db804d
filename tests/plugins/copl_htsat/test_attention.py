"""Prompts as keys and values against the literal block: concatenate, run everything, drop the prompt rows."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F

from copl_core.contracts.recompute import recompute_hidden_layers
from copl_htsat.attention import HTSATBlock
from copl_htsat.network import SwinBlock
from helpers import randomize

WIDTH, HEADS = 16, 2

# (side of the grid, window, shifted, prompts): windows that tile, shifted ones, and one that covers the grid.
CASES = [
    pytest.param(8, 4, False, 3, id="tiled"),
    pytest.param(8, 4, True, 7, id="shifted"),
    pytest.param(4, 4, True, 1, id="one-window"),
    pytest.param(6, 3, True, 20, id="more-prompts-than-tokens"),
]


def make_block(side, window, shifted, dtype=torch.float32) -> SwinBlock:
    block = SwinBlock(WIDTH, HEADS, side, window, shifted).to(dtype)
    randomize(block)
    return block.requires_grad_(False)


def noise(*shape, seed, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def literal_block(block: SwinBlock, tokens: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
    """Append the frame's prompts to each of its windows, run the whole block on all rows, keep the token rows.

    Residuals, norms and feed-forward run on the prompt rows too, as in the paper's ``T([Z, M])``.
    """
    side, window, attn = block.side, block.window, block.attn
    area, shift = window**2, block.shift
    starts = list(itertools.product(range(0, side, window), repeat=2))
    places = [[(y, x) for y in range(top, top + window) for x in range(left, left + window)] for top, left in starts]
    index = torch.tensor([[(y + shift) % side * side + (x + shift) % side for y, x in each] for each in places])
    wrapped = torch.tensor([[(y + shift >= side, x + shift >= side) for y, x in each] for each in places])

    windows = tokens[:, index]  # (BT, W, n, d)
    items, count = windows.shape[:2]
    rows = torch.cat([windows, prompts.expand(items, -1, -1).unsqueeze(1).expand(-1, count, -1, -1)], dim=2)
    total = rows.shape[2]
    position = torch.zeros(HEADS, total, total, dtype=tokens.dtype)
    for i, j in itertools.product(range(area), repeat=2):
        (down, right), (other_down, other_right) = divmod(i, window), divmod(j, window)
        row = (down - other_down + window - 1) * (2 * window - 1) + right - other_right + window - 1
        position[:, i, j] = attn.relative_position_bias_table[row]
    mask = torch.zeros(count, total, total, dtype=tokens.dtype)
    mask[:, :area, :area] = -100.0 * (wrapped[:, :, None] != wrapped[:, None]).any(-1)

    normed = F.layer_norm(rows, (WIDTH,), block.norm1.weight, block.norm1.bias)
    q, k, v = attn.qkv(normed).reshape(items, count, total, 3, HEADS, -1).permute(3, 0, 1, 4, 2, 5)
    logits = torch.einsum("bwhqc,bwhkc->bwhqk", q, k) * (WIDTH / HEADS) ** -0.5
    weights = (logits + position + mask[:, None]).softmax(-1)
    mixed = torch.einsum("bwhqk,bwhkc->bwqhc", weights, v).flatten(3)
    rows = rows + attn.proj(mixed)
    hidden = block.mlp.fc1(F.layer_norm(rows, (WIDTH,), block.norm2.weight, block.norm2.bias))
    rows = rows + block.mlp.fc2(F.gelu(hidden))
    out = torch.zeros_like(tokens)
    out[:, index] = rows[:, :, :area]
    return out


@pytest.mark.parametrize(("side", "window", "shifted", "length"), CASES)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("dtype", "output_error", "gradient_error"), [(torch.float32, 1e-5, 1e-4), (torch.float64, 1e-10, 1e-10)]
)
def test_prompts_equal_literal_concatenation(
    side, window, shifted, length, shared, dtype, output_error, gradient_error
):
    block = make_block(side, window, shifted, dtype)
    handle = HTSATBlock(block)
    tokens, target = (noise(2, side**2, WIDTH, seed=seed, dtype=dtype) for seed in (1, 2))
    prompts = noise(1 if shared else 2, length, WIDTH, seed=3, dtype=dtype)
    results = []
    for which in ("ours", "literal"):
        leaves = tokens.clone().requires_grad_(), prompts.clone().requires_grad_()
        if which == "ours":
            out = leaves[0] + handle.attention(*leaves)
            out = out + handle.feedforward(out)
        else:
            out = literal_block(block, *leaves)
        (out * target).sum().backward()
        results.append((out.detach(), *(leaf.grad for leaf in leaves)))
    (ours, *ours_gradients), (literal, *literal_gradients) = results
    assert (ours - literal).abs().max() < output_error
    for our_gradient, their_gradient in zip(ours_gradients, literal_gradients, strict=True):
        assert their_gradient.abs().max() > 0
        assert (our_gradient - their_gradient).norm() / their_gradient.norm() < gradient_error


def test_only_shifted_blocks_of_several_windows_have_a_mask():
    assert make_block(8, 4, True).attn_mask.shape == (4, 16, 16)
    assert make_block(8, 4, False).attn_mask is None
    assert make_block(4, 4, True).attn_mask is None


def kept_by(block, function, *inputs):
    """Numbers in each storage that the backward pass of ``function`` keeps, without what belongs to the block."""
    own, kept = {parameter.untyped_storage().data_ptr() for parameter in block.parameters()}, {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = function(*inputs)
    return sorted(storage.nbytes() // 4 for storage in kept.values()), out


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("shared", [True, False])
def test_the_attention_branch_keeps_no_more_than_fused_attention_and_its_norms(shifted, shared):
    block, items = make_block(8, 4, shifted), 1 if shared else 3
    handle = HTSATBlock(block)
    tokens, prompts = noise(3, 64, WIDTH, seed=1).requires_grad_(), noise(items, 5, WIDTH, seed=2).requires_grad_()
    bias = handle.bias(5, torch.float32)

    sizes, out = kept_by(block, handle.attention, tokens, prompts)
    out.sum().backward()

    mean_and_deviation = 2
    expected = [
        tokens.numel(),  # into the norm
        prompts.numel(),
        *[3 * 64] * mean_and_deviation,
        *[items * 5] * mean_and_deviation,
        tokens.numel(),  # queries
        *[3 * 4 * (16 + 5) * WIDTH] * 2,  # keys and values of four windows
        tokens.numel(),  # what attention yields, before the projection
        3 * 64 * HEADS,  # its normaliser
        bias.untyped_storage().nbytes() // 4,  # the block's, not a copy for the batch
    ]
    assert sizes == sorted(expected)
    assert prompts.grad.abs().sum() > 0


def test_the_attention_branch_without_prompts_keeps_one_projection():
    block = make_block(8, 4, False)
    handle = HTSATBlock(block)
    tokens = noise(3, 64, WIDTH, seed=1).requires_grad_()

    sizes, _ = kept_by(block, handle.attention, tokens)

    n = tokens.numel()
    assert sizes == sorted([n, 3 * n, n, 3 * 64, 3 * 64, 3 * 64 * HEADS, handle.bias(0, torch.float32).numel()])


def test_a_recomputed_feedforward_branch_keeps_the_tokens():
    block = make_block(8, 4, False)
    handle = HTSATBlock(block)
    tokens = noise(3, 64, WIDTH, seed=1).requires_grad_()
    plain, out = kept_by(block, handle.feedforward, tokens)
    (gradient,) = torch.autograd.grad(out.square().sum(), tokens)

    with recompute_hidden_layers(True):
        sizes, again = kept_by(block, handle.feedforward, tokens)
    (recomputed_gradient,) = torch.autograd.grad(again.square().sum(), tokens)

    assert max(plain) == 4 * tokens.numel()
    assert [size for size in sizes if size] == [tokens.numel()]
    assert torch.equal(out, again)
    assert torch.equal(gradient, recomputed_gradient)


class TestBias:
    """The cached bias."""

    def test_is_one_for_the_whole_batch_and_aligned(self):
        for shifted, rows in ((False, HEADS), (True, 4 * HEADS)):
            bias = HTSATBlock(make_block(8, 4, shifted)).bias(3, torch.bfloat16)
            assert bias.shape == (1, rows, 16, 19)
            assert bias.dtype == torch.bfloat16
            assert bias.stride(-2) % 8 == 0
            assert not bias[..., 16:].any()

    def test_is_kept_while_the_table_is_frozen(self):
        handle = HTSATBlock(make_block(8, 4, True))
        assert handle.bias(3, torch.float32) is handle.bias(3, torch.float32)

    def test_follows_the_table(self):
        block = make_block(8, 4, True)
        handle, tokens = HTSATBlock(block), noise(1, 64, WIDTH, seed=1)
        before = handle.attention(tokens)
        other = copy.deepcopy(block)
        randomize(other.attn, seed=9)
        block.load_state_dict(other.state_dict())
        assert not torch.allclose(handle.attention(tokens), before)
        torch.testing.assert_close(handle.attention(tokens), HTSATBlock(other).attention(tokens))
        block.double()
        assert handle.attention(tokens.double()).dtype == torch.float64

    def test_a_trained_table_gets_its_gradient(self):
        block = make_block(8, 4, True, torch.float64)
        table = block.attn.relative_position_bias_table.requires_grad_()
        handle = HTSATBlock(block)
        tokens, prompts = (noise(2, n, WIDTH, seed=n, dtype=torch.float64) for n in (64, 3))
        attended = tokens + handle.attention(tokens, prompts)
        ours, theirs = attended + handle.feedforward(attended), literal_block(block, tokens, prompts)
        (gradient,) = torch.autograd.grad(ours.square().sum(), table)
        (expected,) = torch.autograd.grad(theirs.square().sum(), table)
        assert expected.abs().max() > 0
        torch.testing.assert_close(gradient, expected)

    def test_inference_does_not_spoil_training(self):
        handle = HTSATBlock(make_block(8, 4, True))
        tokens = noise(1, 64, WIDTH, seed=1)
        with torch.inference_mode():
            handle.attention(tokens, noise(1, 3, WIDTH, seed=2))
        prompts = noise(1, 3, WIDTH, seed=2).requires_grad_()
        handle.attention(tokens, prompts).sum().backward()
        assert prompts.grad is not None
