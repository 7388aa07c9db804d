"""A timm Swin-V2 block as two residual branches, with prompts as extra keys and values of its windows."""

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.swin_transformer_v2 import SwinTransformerV2Block, WindowAttention, window_partition, window_reverse
from torch import Tensor

from copl_core.contracts import Block, FrozenTable, hidden_layer, step_memory
from copl_swin.residual import add_normed, can_be_undone

#: Swin-V2 caps its learned temperature at 1/0.01 before exponentiation.
MAX_LOGIT_SCALE = math.log(1.0 / 0.01)
#: CUDA's attention kernels read the bias in rows of this many elements.
BIAS_ALIGNMENT = 8
#: Norms below this count as this, as in torch's ``normalize``.
EPS = 1e-12


class SwinBlock(Block):
    """Handle over one block. Swin-V2 is res-post-norm: each branch ends in its norm.

    Prompts (the paper's Eqs. 3-4): every window of a frame sees all prompts of that frame. Their relative-position
    bias and their shift mask are 0, their keys are normalised like any key (cosine attention).
    """

    def __init__(self, block: SwinTransformerV2Block) -> None:
        self.block = block
        self.width = block.dim
        self.bias = FrozenTable(block.attn.cpb_mlp, partial(window_bias, block))
        self.norm2_can_be_undone = FrozenTable(block.norm2, partial(can_be_undone, block.norm2))

    def attention(self, tokens: Tensor, prompts: Tensor | None = None) -> Tensor:
        """See ``Block.attention``; N is height times width of the block's own resolution."""
        block = self.block
        items, channels = tokens.shape[0], tokens.shape[2]
        height, width = block.input_resolution
        window_h, window_w = block.window_size
        grid = tokens.unflatten(1, (height, width))
        shifted = any(block.shift_size)
        if shifted:
            grid = torch.roll(grid, shifts=(-block.shift_size[0], -block.shift_size[1]), dims=(1, 2))
        if height % window_h or width % window_w:
            grid = F.pad(grid, (0, 0, 0, -width % window_w, 0, -height % window_h))
        padded = (grid.shape[1], grid.shape[2])
        windows = window_partition(grid, block.window_size).view(items, -1, block.window_area, channels)
        windows = window_attention(block.attn, windows, prompts, self.bias)
        grid = window_reverse(windows.reshape(-1, window_h, window_w, channels), block.window_size, padded)[
            :, :height, :width
        ]
        if shifted:
            grid = torch.roll(grid, shifts=block.shift_size, dims=(1, 2))
        return block.norm1(grid.flatten(1, 2))

    def feedforward(self, tokens: Tensor) -> Tensor:
        """See ``Block.feedforward``."""
        mlp = self.block.mlp
        hidden = hidden_layer(lambda tokens: mlp.act(mlp.fc1(tokens)), tokens)
        return self.block.norm2(mlp.fc2(hidden))

    def add_feedforward(self, tokens: Tensor) -> Tensor:
        """See ``Block.add_feedforward``. Where the block is computed again, its last matrix product is not."""
        mlp, norm, memory = self.block.mlp, self.block.norm2, step_memory()
        if memory is None or any(p.requires_grad for p in self.block.parameters()) or not self.norm2_can_be_undone():
            return super().add_feedforward(tokens)
        return add_normed(tokens, mlp.act(mlp.fc1(tokens)), mlp.fc2, norm, memory)


def window_attention(attn: WindowAttention, windows: Tensor, prompts: Tensor | None, bias: FrozenTable) -> Tensor:
    """Cosine attention of every window over its own tokens and its frame's prompts.

    Keys and values of the prompts are computed once a frame. Their queries, outputs and feed-forward rows are never
    computed: nothing reads them. The backward pass keeps what fused attention does (normalised queries and keys,
    values, its output); the raw projections are dropped.

    Args:
        attn: timm's window attention.
        windows: (BT, W, n, d) with W windows of n tokens.
        prompts: (BT or 1, P, d) or None.
        bias: Position bias and shift mask.

    Returns:
        (BT, W, n, d), after the output projection.
    """
    heads, count = attn.num_heads, windows.shape[1]
    _, weight_k, weight_v = attn.qkv.weight.chunk(3)
    qkv = F.linear(windows, attn.qkv.weight, torch.cat([attn.q_bias, attn.k_bias, attn.v_bias]))
    # (BT, W, heads, n, d / heads)
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(3, 0, 1, 4, 2, 5)
    if prompts is not None:
        k = _append(k, F.linear(prompts, weight_k))
        v = _append(v, F.linear(prompts, weight_v, attn.v_bias))
    scale = attn.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
    # With the windows beside the heads, (BT, W * heads, n, d / heads), one bias serves every frame of the batch.
    q, k, v = unit(q, scale).flatten(1, 2), unit(k).flatten(1, 2), v.flatten(1, 2)
    mask = bias(0 if prompts is None else prompts.shape[1], q.dtype)
    # The logits are scaled already: cosine attention has its own temperature.
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    return attn.proj(out.unflatten(1, (count, heads)).transpose(2, 3).flatten(3))


def _append(windows: Tensor, prompts: Tensor) -> Tensor:
    """Append (BT or 1, P, d) to every window of (BT, W, heads, n, d / heads)."""
    items, count, heads = windows.shape[:3]
    prompts = prompts.unflatten(-1, (heads, -1)).transpose(1, 2).unsqueeze(1)
    return torch.cat([windows, prompts.expand(items, count, -1, -1, -1)], dim=3)


def unit(x: Tensor, scale: Tensor | None = None) -> Tensor:
    """``scale * x / |x|`` over the last dimension, contiguous.

    The backward pass needs the result, which attention keeps anyway, and the norms; not ``x``.

    Args:
        x: (..., heads, n, c).
        scale: (heads, 1, 1), or None for 1.
    """
    out: Tensor = _Unit.apply(x, scale)
    return out


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor | None) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=_at_least_float(x.dtype)).clamp_min(EPS)
        factor = 1 / norm if scale is None else scale / norm
        if torch.compiler.is_compiling():  # the compiler drops the layout that ``out`` asks for
            out = (x * factor.to(x.dtype)).contiguous()
        else:  # contiguous in one pass, whatever the strides of x
            out = torch.mul(x, factor.to(x.dtype), out=torch.empty(x.shape, dtype=x.dtype, device=x.device))
        ctx.save_for_backward(out, factor, scale)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        out, factor, scale = ctx.saved_tensors
        # With y = s x / |x|: dx = s / |x| (g - y (y g) / s^2), ds = y g / s.
        along = (grad * out).sum(dim=-1, keepdim=True)
        inner = along if scale is None else along / scale**2
        grad_x = torch.addcmul(grad, out, inner.to(out.dtype), value=-1).mul_(factor.to(out.dtype))
        grad_scale = (along / scale).sum_to_size(scale.shape) if ctx.needs_input_grad[1] else None
        return grad_x, grad_scale


def _at_least_float(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def window_bias(block: SwinTransformerV2Block, prompts: int, dtype: torch.dtype) -> Tensor:
    """Relative-position bias plus shift mask of window tokens, and 0 for P prompts as keys.

    Returns:
        (1, W * heads, n, n + P).
    """
    attn, mask = block.attn, block.attn_mask
    bias = relative_position_bias(attn)
    height, width = block.input_resolution
    count = math.ceil(height / attn.window_size[0]) * math.ceil(width / attn.window_size[1])
    bias = bias.expand(count, -1, -1, -1) if mask is None else bias + mask.unsqueeze(1)
    keys = block.window_area + prompts
    return F.pad(bias.flatten(0, 1), (0, prompts + -keys % BIAS_ALIGNMENT)).to(dtype)[None, ..., :keys]


def relative_position_bias(attn: WindowAttention) -> Tensor:
    """Continuous relative-position bias (heads, n, n) of a window."""
    table = attn.cpb_mlp(attn.relative_coords_table).view(-1, attn.num_heads)
    area = attn.window_size[0] * attn.window_size[1]
    bias = table[attn.relative_position_index.view(-1)].view(area, area, -1).permute(2, 0, 1)
    return 16 * torch.sigmoid(bias)
