"""An exponential moving average of what is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from copl_core.engine.runner import CoplRunner


class EmaHook(Hook):
    """Averages the trained parameters, and lends the average to validation and export.

    MMEngine's hook averages a copy of the whole model, encoders included. Buffers are those of the model itself.

    Args:
        decay: After t steps, min(decay, (1 + t) / (10 + t)) is kept: a short run is not an average of its beginning.
    """

    priority = "NORMAL"

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {}

    def before_train(self, runner: CoplRunner) -> None:
        """Begin with the present parameters, unless a resumed run has its average."""
        if not self.average:
            self.average = {name: parameter.detach().clone() for name, parameter in runner.trained.items()}

    def after_train_iter(
        self, runner: CoplRunner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Take in the parameters of this step."""
        steps = runner.iter + 1
        decay = min(self.decay, (1 + steps) / (10 + steps))
        parameters = [parameter.detach() for parameter in runner.trained.values()]
        torch._foreach_lerp_(list(self.average.values()), parameters, 1 - decay)

    def before_val(self, runner: CoplRunner) -> None:
        """Put the average into the model."""
        self._swap(runner)

    def after_val(self, runner: CoplRunner) -> None:
        """Put the parameters back, after the epoch was exported."""
        self._swap(runner)

    @contextmanager
    def applied(self, runner: CoplRunner) -> Iterator[None]:
        """The model with the average in the place of its parameters."""
        self._swap(runner)
        try:
            yield
        finally:
            self._swap(runner)

    @torch.no_grad()
    def _swap(self, runner: CoplRunner) -> None:
        for name, parameter in runner.trained.items():
            present = parameter.detach().clone()
            parameter.copy_(self.average[name])
            self.average[name].copy_(present)
