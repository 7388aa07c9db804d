"""Prompts as keys and values against the literal block: concatenate, run everything, drop the prompt rows."""

import pytest
import torch
import torch.nn.functional as F
from timm.models.swin_transformer_v2 import SwinTransformerV2Block, window_partition, window_reverse

from helpers import tiny_swin

# (input size, window, pair of blocks with and without shift, prompts): windows that tile, that must be padded
# (10x10 tokens by windows of 4), and one that covers the map.
CASES = [
    pytest.param(32, 4, 3, id="tiled"),
    pytest.param(40, 4, 7, id="padded"),
    pytest.param(32, 8, 1, id="one-window"),
    pytest.param(48, 6, 40, id="more-prompts-than-tokens"),
]


def literal_block(block: SwinTransformerV2Block, tokens: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
    """Append the frame's prompts to each of its windows, run the whole block on all rows, keep the token rows.

    Residuals, norms and feed-forward run on the prompt rows too, as in the paper's ``T([Z, M])``.
    """
    items, _, channels = tokens.shape
    height, width = block.input_resolution
    area = block.window_area
    grid = tokens.view(items, height, width, channels)
    shift_h, shift_w = block.shift_size

    def to_windows(x: torch.Tensor) -> torch.Tensor:
        x = torch.roll(x, (-shift_h, -shift_w), (1, 2))
        x = F.pad(x, (0, 0, 0, -width % block.window_size[1], 0, -height % block.window_size[0]))
        return window_partition(x, block.window_size).reshape(items, -1, area, channels)

    windows = to_windows(grid)
    count = windows.shape[1]
    per_window = prompts.expand(items, -1, -1).unsqueeze(1).expand(-1, count, -1, -1)
    rows = torch.cat([windows, per_window], dim=2)  # (BT, W, n + P, d)
    total = rows.shape[2]

    attn = block.attn
    heads = attn.num_heads
    bias = torch.cat([attn.q_bias, torch.zeros_like(attn.q_bias), attn.v_bias])
    q, k, v = F.linear(rows, attn.qkv.weight, bias).reshape(items, count, total, 3, heads, -1).permute(3, 0, 1, 4, 2, 5)
    q, k = q / q.norm(dim=-1, keepdim=True).clamp_min(1e-12), k / k.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    logits = torch.einsum("bwhqc,bwhkc->bwhqk", q, k) * attn.logit_scale.clamp(max=4.605170185988092).exp()
    table = 16 * torch.sigmoid(attn.cpb_mlp(attn.relative_coords_table)).view(-1, heads)
    position = torch.zeros(heads, total, total, dtype=tokens.dtype)
    position[:, :area, :area] = table[attn.relative_position_index.flatten()].view(area, area, heads).permute(2, 0, 1)
    mask = torch.zeros(count, total, total, dtype=tokens.dtype)
    if block.attn_mask is not None:
        mask[:, :area, :area] = block.attn_mask
    weights = (logits + position + mask[:, None]).softmax(-1)
    mixed = torch.einsum("bwhqk,bwhkc->bwqhc", weights, v).flatten(3)
    attended = block.norm1(attn.proj(mixed))
    # Residual of the token rows in their own place; prompt rows keep theirs and are dropped at the end.
    rows = rows + attended
    rows = rows + block.norm2(block.mlp(rows))
    kept = rows[:, :, :area].reshape(-1, *block.window_size, channels)
    padded = (height + -height % block.window_size[0], width + -width % block.window_size[1])
    grid = window_reverse(kept, block.window_size, padded)[:, :height, :width]
    return torch.roll(grid, (shift_h, shift_w), (1, 2)).reshape(items, -1, channels)


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
