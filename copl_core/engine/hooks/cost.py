"""What training takes: memory, and the time of a step."""

import statistics
import sys
import time
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from copl_core.engine.distributed import largest
from copl_core.model import TwoStream

#: Bytes of a unit of ``ru_maxrss``.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class CostHook(Hook):
    """Measures the training steps of this start; validation counts in neither.

    Args:
        device: Where to train.
    """

    priority = "VERY_HIGH"

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._peak = 0
        self._steps: list[float] = []
        self._began = 0.0

    def before_train_epoch(self, runner: Runner) -> None:
        """Forget what validation has allocated."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start the clock; the step's losses are read at its end, so all its work is done then."""
        self._began = time.monotonic()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Stop it."""
        self._steps.append(time.monotonic() - self._began)

    def after_train_epoch(self, runner: Runner) -> None:
        """Note the most memory of the epoch's steps."""
        if self.device.type == "cuda":
            self._peak = max(self._peak, torch.cuda.max_memory_allocated(self.device))
        else:
            self._peak = _resident()

    def measured(self, model: TwoStream) -> dict[str, Any]:
        """What ``cost.json`` says, see ``copl_core.results.Cost``; to be called by all ranks.

        Args:
            model: That was trained.
        """
        peak = largest([self._peak])[0]
        on_cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if on_cuda else self.device.type,
            "additional_parameters": sum(p.numel() for _, p in model.additional_parameters()),
            "head_parameters": sum(p.numel() for p in model.head.parameters()),
            # A run that was stopped after its last step has none to measure.
            **({"peak_memory_mb": round(peak / 1e6, 1)} if self._steps else {}),
            **({"seconds_per_step": round(statistics.median(self._steps), 6)} if self._steps else {}),
        }


def _resident() -> int:
    """The most bytes that this process ever had in memory."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
