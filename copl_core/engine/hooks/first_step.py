"""What must hold from the first step on: all that trains has a gradient, all that is frozen stays as it was."""

from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from copl_core.api import CoplError
from copl_core.engine.distributed import together
from copl_core.engine.faults import some, without_gradient
from copl_core.engine.runner import CoplRunner
from copl_core.model import TwoStream

#: Integers as wide as an element, to sum up bit patterns exactly.
_PATTERNS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class FirstStepHook(Hook):
    """Checks the first step after each start, also after a resume."""

    priority = "HIGH"

    def __init__(self) -> None:
        self._frozen: dict[str, int] | None = None

    def before_train(self, runner: CoplRunner) -> None:
        """Note what is frozen."""
        self._frozen = _checksums(runner.two_stream)

    def after_backward(self, runner: CoplRunner) -> None:
        """Look for parameters that train but got no gradient.

        Raises:
            CoplError: Naming them.
        """
        if self._frozen is not None:
            together(lambda: _check_gradients(runner))

    def after_train_iter(
        self, runner: CoplRunner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Look for frozen tensors that are no longer what they were; a skipped step is none.

        Raises:
            CoplError: Naming them.
        """
        if self._frozen is not None and outputs:
            before, self._frozen = self._frozen, None
            together(lambda: _check_frozen(before, runner.two_stream))


def _check_gradients(runner: CoplRunner) -> None:
    missing = [name for name, parameter in runner.trained.items() if parameter.grad is None]
    # All are missing where no clip of the step could be read.
    if missing and len(missing) < len(runner.trained):
        raise without_gradient(runner.position.where, missing)


def _check_frozen(before: dict[str, int], model: TwoStream) -> None:
    after = _checksums(model)
    changed = [name for name in before if after.get(name) != before[name]]
    if changed:
        raise CoplError(
            f"the first step changed what is frozen: {some(changed)}\n"
            "A plugin writes to them; prompts trained so would not fit the encoder they name."
        )


def _checksums(model: TwoStream) -> dict[str, int]:
    """Of each frozen parameter, and each buffer of a frozen encoder: the sum of its elements' bit patterns.

    It is exact as long as one element changes. Buffers count whether a state dict saves them or not: running
    statistics, windows and filters make an encoder what it is as its parameters do.
    """
    frozen = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
    if not model.tuner.unfreezes:
        frozen |= {name: buffer.detach() for name, buffer in model.encoders.named_buffers(prefix="encoders")}
    return {name: int(_pattern(tensor).sum(dtype=torch.int64)) for name, tensor in frozen.items()}


def _pattern(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(_PATTERNS[tensor.element_size()])
