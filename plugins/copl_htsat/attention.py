"""An HTS-AT block as two residual branches, with prompts as extra keys and values of its windows."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from copl_core.contracts import Block, FrozenTable, hidden_layer
from copl_htsat.network import SwinBlock, WindowAttention

#: CUDA's attention kernels read the bias in rows of this many elements.
BIAS_ALIGNMENT = 8


class HTSATBlock(Block):
    """Handle over one block, which is a pre-norm Swin (V1) block.

    Prompts (the CoPL paper's Eqs. 3-4): every window of a frame sees all prompts of that frame. Their relative-position
    bias and their shift mask are 0. Like any row of a pre-norm block they pass its first norm.
    """

    def __init__(self, block: SwinBlock) -> None:
        self.block = block
        self.width = block.width
        self.bias = FrozenTable(block.attn, partial(window_bias, block))

    def attention(self, tokens: Tensor, prompts: Tensor | None = None) -> Tensor:
        """See ``Block.attention``; N is the number of tokens of the block's own grid."""
        block = self.block
        windows = _partition(block.norm1(tokens), block)
        if prompts is not None:
            prompts = block.norm1(prompts)
        return _merge(window_attention(block.attn, windows, prompts, self.bias), block)

    def feedforward(self, tokens: Tensor) -> Tensor:
        """See ``Block.feedforward``."""
        norm, mlp = self.block.norm2, self.block.mlp
        # With the norm inside, recomputation keeps nothing but the tokens.
        return mlp.fc2(hidden_layer(lambda tokens: mlp.act(mlp.fc1(norm(tokens))), tokens))


def window_attention(attn: WindowAttention, windows: Tensor, prompts: Tensor | None, bias: FrozenTable) -> Tensor:
    """Attention of every window over its own tokens and its frame's prompts.

    Keys and values of the prompts are computed once a frame. Their queries, outputs and feed-forward rows are never
    computed: nothing reads them. The backward pass keeps what fused attention does (queries, keys, values, its output).

    Args:
        attn: The block's attention.
        windows: (BT, W, n, d) with W windows of n tokens, after the norm.
        prompts: (BT or 1, P, d) after the norm, or None.
        bias: Position bias and shift mask.

    Returns:
        (BT, W, n, d), after the output projection.
    """
    heads, (items, count, _, width) = attn.heads, windows.shape
    # Each (BT, W, heads, n, d / heads).
    q, k, v = attn.qkv(windows).unflatten(-1, (3, heads, -1)).permute(3, 0, 1, 4, 2, 5)
    if prompts is not None:
        projected = F.linear(prompts, attn.qkv.weight[width:], attn.qkv.bias[width:])
        prompt_k, prompt_v = projected.unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)
        # A copy of the queries: as a view they would keep the whole projection, keys and values twice.
        q, k, v = q.contiguous(), _append(k, prompt_k), _append(v, prompt_v)
    mask = bias(0 if prompts is None else prompts.shape[1], q.dtype)
    # One bias serves every frame of the batch: where those of the windows differ, the windows lie beside the heads.
    start, sizes = (1, (count, heads)) if mask.shape[1] > heads else (0, (items, count))
    q, k, v = (x.flatten(start, start + 1) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return attn.proj(out.unflatten(start, sizes).transpose(2, 3).flatten(3))


def _append(windows: Tensor, prompts: Tensor) -> Tensor:
    """Append (BT or 1, heads, P, c) to every window of (BT, W, heads, n, c)."""
    items, count = windows.shape[:2]
    return torch.cat([windows, prompts.unsqueeze(1).expand(items, count, -1, -1, -1)], dim=3)


def _partition(tokens: Tensor, block: SwinBlock) -> Tensor:
    """Cut the grid (BT, N, d) into windows (BT, W, n, d), after the cyclic shift."""
    count, window = block.side // block.window, block.window
    grid = tokens.unflatten(1, (block.side, block.side))
    if block.shift:
        grid = torch.roll(grid, shifts=(-block.shift, -block.shift), dims=(1, 2))
    grid = grid.unflatten(2, (count, window)).unflatten(1, (count, window))
    return grid.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _merge(windows: Tensor, block: SwinBlock) -> Tensor:
    """Undo ``_partition``."""
    count, window = block.side // block.window, block.window
    grid = windows.unflatten(2, (window, window)).unflatten(1, (count, count))
    grid = grid.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    if block.shift:
        grid = torch.roll(grid, shifts=(block.shift, block.shift), dims=(1, 2))
    return grid.flatten(1, 2)


def window_bias(block: SwinBlock, prompts: int, dtype: torch.dtype) -> Tensor:
    """Relative-position bias plus shift mask of window tokens, and 0 for P prompts as keys.

    Returns:
        (1, W * heads, n, n + P) in a shifted block, (1, heads, n, n + P) in one whose windows are all alike.
    """
    attn, mask = block.attn, block.attn_mask
    bias = attn.relative_position_bias_table[attn.relative_position_index].permute(2, 0, 1)
    if mask is not None:
        bias = (bias + mask.unsqueeze(1)).flatten(0, 1)
    keys = bias.shape[-1] + prompts
    return F.pad(bias, (0, prompts + -keys % BIAS_ALIGNMENT)).to(dtype)[None, ..., :keys]
