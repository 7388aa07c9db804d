"""The export of the best epoch."""

import math
from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook

from copl_core.engine.runner import CoplRunner
from copl_core.engine.writing import Writer

Export = Callable[[dict[str, float]], object]


class BestExport(Hook):
    """Keeps the best validation score and exports whenever it improves.

    Args:
        score: Name of the score, without split.
        higher_is_better: Its direction.
        split: The split it is measured on.
        export: Writes the present prompts and head, given the scores.
        writer: Decides what a failed export means.

    Attributes:
        best: ``epoch``, ``value`` and ``metrics`` of the best epoch so far; empty before the first.
    """

    priority = "VERY_LOW"

    def __init__(self, *, score: str, higher_is_better: bool, split: str, export: Export, writer: Writer) -> None:
        self.key = f"{split}/{score}"
        self.sign = 1.0 if higher_is_better else -1.0
        self.export = export
        self.writer = writer
        self.best: dict[str, Any] = {}

    def after_val_epoch(self, runner: CoplRunner, metrics: dict[str, float] | None = None) -> None:
        """Offer the validated epoch."""
        before = self.best
        self.offer(runner.epoch, metrics or {})
        if self.best is not before:
            runner.note(f"epoch {runner.epoch} is exported, the best so far by {self.key}")

    def offer(self, epoch: int, metrics: dict[str, float]) -> None:
        """Export if this is the best epoch so far; the earlier one wins a tie."""
        value = metrics[self.key]
        if math.isnan(value):
            self.writer.say(f"epoch {epoch}: {self.key} is no number; any other epoch counts as better")
        if self.best and self._merit(value) <= self._merit(self.best["value"]):
            return
        # Without a first export there would be nothing to test.
        if self.writer.write("the export", lambda: self.export(metrics), required=not self.best):
            self.best = {"epoch": epoch, "value": value, "metrics": dict(metrics)}

    def _merit(self, value: float) -> float:
        return -math.inf if math.isnan(value) else self.sign * value
