"""A timm ViT block as two residual branches, with prompts as extra keys and values of its attention."""

import torch
import torch.nn.functional as F
from timm.models import vision_transformer
from torch import Tensor

from copl_core.contracts import Block, hidden_layer


class ViTBlock(Block):
    """Handle over one pre-norm block: each branch begins with its norm and ends in its layer scale, if it has one.

    Prompts pass the norm as tokens do (the paper's Eqs. 3-4; docs/fidelity.md, F1). Everything in a block but the
    attention is row by row, so nothing of a prompt but its key and value reaches the tokens.
    """

    def __init__(self, block: vision_transformer.Block) -> None:
        self.block = block
        self.width = block.attn.qkv.in_features

    def attention(self, tokens: Tensor, prompts: Tensor | None = None) -> Tensor:
        """See ``Block.attention``. The backward pass keeps the norm's inputs and what fused attention keeps."""
        block, attn = self.block, self.block.attn
        qkv = attn.qkv(block.norm1(tokens))
        # (BT, heads, N, d / heads) each.
        q, k, v = qkv.unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = attn.q_norm(q), attn.k_norm(k)
        if prompts is not None:
            prompt_k, prompt_v = self._keys_and_values(prompts)
            # A copy of the queries: as a view they would keep the whole projection, keys and values twice.
            q, k, v = q.contiguous(), _append(k, prompt_k), _append(v, prompt_v)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return block.ls1(attn.proj(attn.norm(mixed)))

    def feedforward(self, tokens: Tensor) -> Tensor:
        """See ``Block.feedforward``."""
        block = self.block
        # The whole branch, not its widening half: timm has several kinds of it, and the recomputation stops of itself
        # where nothing more was kept, before the last matrix product.
        return block.ls2(hidden_layer(lambda tokens: block.mlp(block.norm2(tokens)), tokens))

    def _keys_and_values(self, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """(BT or 1, P, d) -> two of (BT or 1, heads, P, d / heads), once for prompts that all frames share."""
        attn = self.block.attn
        queries = attn.qkv.out_features // 3
        bias = None if attn.qkv.bias is None else attn.qkv.bias[queries:]
        projected = F.linear(self.block.norm1(prompts), attn.qkv.weight[queries:], bias)
        k, v = projected.unflatten(-1, (2, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return attn.k_norm(k), v


def _append(tokens: Tensor, prompts: Tensor) -> Tensor:
    """Append (BT or 1, heads, P, d / heads) to (BT, heads, N, d / heads)."""
    return torch.cat([tokens, prompts.expand(len(tokens), -1, -1, -1)], dim=2)
