"""The end of a Swin-V2 block, whose backward pass needs nothing that the next block does not keep."""

from typing import Any

import torch
from torch import Tensor, nn

from copl_core.contracts import StepMemory

#: Least absolute weight of a norm that can be undone: a token of size z is off by about 6e-8 z / weight then (float32).
SMALLEST_WEIGHT = 1e-4


def can_be_undone(norm: nn.LayerNorm) -> Tensor:
    """Whether the normalised input follows from the output: a weight near 0 loses it. A truth value on the CPU."""
    return (norm.weight.abs().min() >= SMALLEST_WEIGHT).cpu()


def add_normed(tokens: Tensor, hidden: Tensor, linear: nn.Linear, norm: nn.LayerNorm, memory: StepMemory) -> Tensor:
    """``tokens + norm(linear(hidden))``, computed once even where the step is computed again.

    The backward pass of the norm needs its normalised input. It gets it back from the sum, which the next block keeps:
    ``(sum - tokens - bias) / weight``. So ``linear`` need not run again.

    Args:
        tokens: (..., d).
        hidden: (..., 4 d).
        linear: 4 d -> d, frozen.
        norm: Over d, frozen.
        memory: Of the present step.
    """
    out: Tensor = _AddNormed.apply(tokens, hidden, linear, norm, memory)
    return out


class _AddNormed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tokens: Tensor, hidden: Tensor, linear: nn.Linear, norm: nn.LayerNorm, memory: StepMemory
    ) -> Tensor:
        def compute() -> tuple[Tensor, Tensor]:
            # Norms are computed in float32 at least, under autocast too.
            raw = linear(hidden).to(norm.weight.dtype)
            normed, _, inverse_deviation = torch.native_layer_norm(
                raw, norm.normalized_shape, norm.weight, norm.bias, norm.eps
            )
            return tokens + normed, inverse_deviation

        out, inverse_deviation = memory.remember(compute)
        ctx.save_for_backward(tokens, out, inverse_deviation)
        ctx.linear, ctx.norm = linear, norm
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (tokens, out, inverse_deviation), linear, norm = ctx.saved_tensors, ctx.linear, ctx.norm
        inverse_weight = norm.weight.reciprocal()
        normalised = torch.addcmul(-norm.bias * inverse_weight, out - tokens, inverse_weight)
        # Told that mean and deviation are 0 and 1, torch's own backward pass takes it as it is.
        zeros, ones = torch.zeros_like(inverse_deviation), torch.ones_like(inverse_deviation)
        grad_raw, _, _ = torch.ops.aten.native_layer_norm_backward(
            grad, normalised, norm.normalized_shape, zeros, ones, norm.weight, norm.bias, [True, False, False]
        )
        grad_raw = grad_raw.mul_(inverse_deviation).to(linear.weight.dtype)
        return grad, grad_raw @ linear.weight, None, None, None
