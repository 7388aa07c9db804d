"""Compute again in the backward pass instead of keeping: what ``compute.checkpointing`` selects."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_hidden: ContextVar[bool] = ContextVar("copl_recompute_hidden", default=False)
_step: ContextVar["StepMemory | None"] = ContextVar("copl_recompute_step", default=None)


def hidden_layer(function: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Call ``function(tokens)``, the widening half of a block's feed-forward branch: linear layer and activation.

    A backbone calls it through this, so that with ``checkpointing: mlp`` the backward pass keeps ``tokens`` instead of
    the activation's input, which is four times as wide, and computes that one again.

    Args:
        function: (BT, N, d) -> (BT, N, 4 d), deterministic.
        tokens: (BT, N, d).
    """
    if not _hidden.get() or not torch.is_grad_enabled():
        return function(tokens)
    out: Tensor = checkpoint(function, tokens, use_reentrant=False, preserve_rng_state=False)
    return out


@contextmanager
def recompute_hidden_layers(enabled: bool) -> Iterator[None]:
    """Within it, ``hidden_layer`` keeps its input only."""
    token = _hidden.set(enabled)
    try:
        yield
    finally:
        _hidden.reset(token)


def recompute_step(function: Callable[..., Any], *tokens: Tensor, module: nn.Module) -> Any:
    """Call ``function(*tokens)`` and keep for the backward pass only ``tokens``, and what its ``StepMemory`` holds.

    Args:
        function: A tuner's step; random numbers in it are repeated when it runs again.
        tokens: Its inputs.
        module: The tuner: batch-norm statistics in it are updated by the first run only.
    """
    if not torch.is_grad_enabled():
        return function(*tokens)
    memory = StepMemory()
    first, second = _Run(memory.recording), _Run(memory.replaying, partial(_without_statistics, module))
    out = checkpoint(function, *tokens, use_reentrant=False, context_fn=lambda: (first, second))
    memory.keep()
    return out


def step_memory() -> "StepMemory | None":
    """The memory of the present step; None where the inside of steps is not computed again."""
    return None if torch.compiler.is_compiling() else _step.get()


class StepMemory:
    """What the second run of a step takes over from the first.

    It pays for what is kept anyway, such as the output of a block, which is the input of the next.
    """

    def __init__(self) -> None:
        self._found: list[tuple[Tensor, ...]] = []
        self._kept: list[Any] = []
        self._left: Iterator[Any] | None = None

    def remember(self, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The results of ``compute`` in the first run of a step, and the same, not computed again, in the second.

        To be called without autograd, as in the forward pass of an ``autograd.Function``, and in the same order in both
        runs.
        """
        if self._left is not None:
            return tuple(tensor.detach() for tensor in next(self._left).saved_tensors)
        results = compute()
        self._found.append(tuple(tensor.detach() for tensor in results))
        return results

    def keep(self) -> None:
        """After the first run: keep what it found as autograd does, which hooks can see and which notices changes."""
        anchor = torch.empty(0, requires_grad=True)
        self._kept = [_Keep.apply(anchor, *tensors).grad_fn for tensors in self._found]
        self._found = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """The first run."""
        token = _step.set(self)
        try:
            yield
        finally:
            _step.reset(token)

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """A second run; there is one for each backward pass."""
        self._left = iter(self._kept)
        try:
            with self.recording():
                yield
        finally:
            self._left = None


class _Keep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return anchor.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, ...]:
        raise AssertionError("nobody asks for this gradient")


class _Run(AbstractContextManager[None]):
    """Enters contexts that are made anew each time: torch enters what it was given once for each backward pass."""

    def __init__(self, *contexts: Callable[[], AbstractContextManager[Any]]) -> None:
        self._contexts = contexts
        self._entered = ExitStack()

    def __enter__(self) -> None:
        self._entered = ExitStack()
        for context in self._contexts:
            self._entered.enter_context(context())

    def __exit__(self, *error: Any) -> None:
        self._entered.__exit__(*error)


@contextmanager
def _without_statistics(module: nn.Module) -> Iterator[None]:
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
