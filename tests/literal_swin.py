"""The paper's block read literally: concatenate the prompts, run the whole block on all rows, drop the prompt rows.

Slow and plain; the fast form is tested, and measured (tools/bench_literal.py), against it.
"""

import torch
import torch.nn.functional as F
from timm.models.swin_transformer_v2 import SwinTransformerV2Block, window_partition, window_reverse

from copl_prompts.copl import CoPL


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


class LiteralCoPL(CoPL):
    """CoPL on a shared Swin-V2, every prompted block run literally; both modalities as one batch."""

    @staticmethod
    def walk(pair, visual, audio, visual_prompts=None, audio_prompts=None):
        items = visual.shape[0]
        prompts = torch.cat([p.expand(items, -1, -1) for p in (visual_prompts, audio_prompts)])
        return literal_block(pair.visual.block, torch.cat([visual, audio]), prompts).chunk(2)
