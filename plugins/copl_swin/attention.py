"""A timm Swin-V2 block as two residual branches, with prompts as extra keys and values of its windows."""

import math

import torch
import torch.nn.functional as F
from timm.models.swin_transformer_v2 import SwinTransformerV2Block, WindowAttention, window_partition, window_reverse
from torch import Tensor

from copl_core.contracts import Block

#: Swin-V2 caps its learned temperature at 1/0.01 before exponentiation.
MAX_LOGIT_SCALE = math.log(1.0 / 0.01)


class SwinBlock(Block):
    """Handle over one block. Swin-V2 is res-post-norm: each branch ends in its norm.

    Prompts (the paper's Eqs. 3-4): every window of a frame sees all prompts of that frame. Their relative-position
    bias and their shift mask are 0, their keys are normalised like any key (cosine attention).
    """

    def __init__(self, block: SwinTransformerV2Block) -> None:
        self.block = block
        self.width = block.dim

    def attention(self, tokens: Tensor, prompts: Tensor | None = None) -> Tensor:
        """See ``Block.attention``; N is height times width of the block's own resolution."""
        height, width = self.block.input_resolution
        grid = tokens.unflatten(1, (height, width))
        # timm's own path, so that without prompts the features equal timm's bit for bit.
        mixed = self.block._attn(grid) if prompts is None else self._prompted(grid, prompts)
        return self.block.norm1(mixed).flatten(1, 2)

    def feedforward(self, tokens: Tensor) -> Tensor:
        """See ``Block.feedforward``."""
        return self.block.norm2(self.block.mlp(tokens))

    def _prompted(self, grid: Tensor, prompts: Tensor) -> Tensor:
        """Windowed attention of (BT, H, W, d) with prompts (BT or 1, P, d): shift, pad and partition as timm does."""
        block = self.block
        items, height, width, channels = grid.shape
        window_h, window_w = block.window_size
        shifted = any(block.shift_size)
        if shifted:
            grid = torch.roll(grid, shifts=(-block.shift_size[0], -block.shift_size[1]), dims=(1, 2))
        grid = F.pad(grid, (0, 0, 0, -width % window_w, 0, -height % window_h))
        padded = (grid.shape[1], grid.shape[2])
        windows = window_partition(grid, block.window_size).view(items, -1, block.window_area, channels)
        windows = window_attention(block.attn, windows, prompts, block.attn_mask)
        grid = window_reverse(windows.reshape(-1, window_h, window_w, channels), block.window_size, padded)[
            :, :height, :width
        ]
        if shifted:
            grid = torch.roll(grid, shifts=block.shift_size, dims=(1, 2))
        return grid


def window_attention(attn: WindowAttention, windows: Tensor, prompts: Tensor, mask: Tensor | None) -> Tensor:
    """Cosine attention of every window over its own tokens and its frame's prompts.

    Keys and values of the prompts are computed once a frame and broadcast to the windows. Their queries, outputs and
    feed-forward rows are never computed: nothing reads them.

    Args:
        attn: timm's window attention.
        windows: (BT, W, n, d) with W windows of n tokens.
        prompts: (BT or 1, P, d).
        mask: (W, n, n) additive shift mask, or None.

    Returns:
        (BT, W, n, d), after the output projection.
    """
    heads, n = attn.num_heads, windows.shape[2]
    weight_q, weight_k, weight_v = attn.qkv.weight.chunk(3)
    # (BT, W, heads, n, d / heads) for windows, (BT, 1, heads, P, d / heads) for prompts.
    q = F.linear(windows, weight_q, attn.q_bias).unflatten(-1, (heads, -1)).transpose(2, 3)
    k = F.linear(windows, weight_k).unflatten(-1, (heads, -1)).transpose(2, 3)
    v = F.linear(windows, weight_v, attn.v_bias).unflatten(-1, (heads, -1)).transpose(2, 3)
    prompt_k = F.linear(prompts, weight_k).unflatten(-1, (heads, -1)).transpose(1, 2).unsqueeze(1)
    prompt_v = F.linear(prompts, weight_v, attn.v_bias).unflatten(-1, (heads, -1)).transpose(1, 2).unsqueeze(1)

    q = F.normalize(q, dim=-1) * attn.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
    bias = relative_position_bias(attn)
    if mask is not None:
        bias = bias + mask.unsqueeze(1)
    logits = q @ F.normalize(k, dim=-1).transpose(-2, -1) + bias
    prompt_logits = q @ F.normalize(prompt_k, dim=-1).transpose(-2, -1)
    weights = torch.cat([logits, prompt_logits], dim=-1).softmax(dim=-1)
    mixed = weights[..., :n] @ v + weights[..., n:] @ prompt_v
    return attn.proj(mixed.transpose(2, 3).flatten(3))


def relative_position_bias(attn: WindowAttention) -> Tensor:
    """Continuous relative-position bias (heads, n, n) of a window."""
    table = attn.cpb_mlp(attn.relative_coords_table).view(-1, attn.num_heads)
    area = attn.window_size[0] * attn.window_size[1]
    bias = table[attn.relative_position_index.view(-1)].view(area, area, -1).permute(2, 0, 1)
    return 16 * torch.sigmoid(bias)
