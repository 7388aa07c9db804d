"""Batch norm over the batches of all ranks, so that N ranks normalise as one with N times the batch does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


def synchronize_batch_norm(module: nn.Module) -> None:
    """Replace every batch norm inside ``module``, which must not be one; its tensors stay the same."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, SyncBatchNorm(child))
        else:
            synchronize_batch_norm(child)


@contextmanager
def standing_in(module: nn.Module, *, others: bool) -> Iterator[None]:
    """Let a batch pass that only keeps this rank in step: forward and backward, it has no part in any statistics.

    Args:
        module: Its synchronised batch norms are meant.
        others: Whether some rank has clips, by whose statistics the batch is then normalised; otherwise by the running
            ones.
    """
    norms = [part for part in module.modules() if isinstance(part, SyncBatchNorm)]
    before = [norm.training for norm in norms]
    for norm in norms:
        norm.counted, norm.training = False, norm.training and others
    try:
        yield
    finally:
        for norm, training in zip(norms, before, strict=True):
            norm.counted, norm.training = True, training


class SyncBatchNorm(_BatchNorm):
    """Batch norm of (N, C, ...) over the batches of all ranks, which may differ in N.

    torch's own runs on CUDA alone, and a rank without clips spoils it in half precision: it sends zeros of another type
    than the others' statistics.

    Attributes:
        counted: Whether this rank's batch is part of the statistics.
    """

    counted = True

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.training = norm.training

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; while training by the batches of all ranks."""
        if not self.training:
            own = self.running_mean is None
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, own, 0.0, self.eps)
        normalized, mean, variance, count = _Normalize.apply(input.float(), self.eps, self.counted)
        self._note(mean, variance * (count / (count - 1).clamp(min=1)))
        result: Tensor = normalized
        if self.weight is not None:
            result = result * self.weight.view(_shape(input))
        if self.bias is not None:
            result = result + self.bias.view(_shape(input))
        return result.to(input.dtype)

    def _note(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics as torch's batch norm does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions will do."""


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) of (N, C, ...), with mean and variance over the counted ranks.

    Returns mean (C), variance (C) and the number of values, too, which have no gradient. The backward pass needs the
    result and not the input.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, eps: float, counted: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        shape, others = _shape(values), _others(values)
        own = slice(None) if counted else slice(0)
        count = values[own].numel() / values.shape[1]
        sums = torch.cat([values[own].sum(others), values.new_tensor([count])])
        dist.all_reduce(sums)
        total = sums[-1]
        mean = sums[:-1] / total
        centred = values - mean.view(shape)
        squares = centred[own].square().sum(others)
        dist.all_reduce(squares)
        variance = squares / total
        scale = (variance + eps).rsqrt()
        normalized = centred * scale.view(shape)
        ctx.save_for_backward(normalized, scale, total)
        ctx.counted = counted
        ctx.mark_non_differentiable(mean, variance, total)
        return normalized, mean, variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0]
        normalized, scale, total = ctx.saved_tensors
        shape, others = _shape(gradient), _others(gradient)
        # Through the statistics the counted values of every rank reach the results of all ranks.
        sums = torch.cat([gradient.sum(others), (gradient * normalized).sum(others)])
        dist.all_reduce(sums)
        if ctx.counted:
            to_mean, to_variance = (part.view(shape) / total for part in sums.chunk(2))
            gradient = gradient - to_mean - normalized * to_variance
        return gradient * scale.view(shape), None, None


def _shape(values: Tensor) -> list[int]:
    """That of a value for each channel, beside (N, C, ...)."""
    return [1, -1, *[1] * (values.dim() - 2)]


def _others(values: Tensor) -> list[int]:
    """The dimensions that aren't the channels."""
    return [0, *range(2, values.dim())]
