"""One JSON line an epoch: what a script or a notebook plots."""

import json
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

METRICS_FILE = "metrics.jsonl"


class MetricsLogHook(Hook):
    """Appends ``{"epoch", "split", ...}`` to metrics.jsonl: mean losses after training, scores after validation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sums: dict[str, float] = {}
        self._steps = 0

    def before_train(self, runner: Runner) -> None:
        """Keep the rows of finished epochs only: a resumed run repeats the one it was stopped in."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines if json.loads(line)["epoch"] <= runner.epoch]
        self.path.write_text("".join(kept), encoding="utf-8")

    def before_train_epoch(self, runner: Runner) -> None:
        """Start new means."""
        self._sums, self._steps = {}, 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Add a step's losses."""
        for name, value in (outputs or {}).items():
            self._sums[name] = self._sums.get(name, 0.0) + value.item()
        self._steps += 1

    def after_train_epoch(self, runner: Runner) -> None:
        """Write the epoch's mean losses."""
        means = {name: value / self._steps for name, value in self._sums.items()}
        self._write({"epoch": runner.epoch + 1, "split": "train", **means})

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the validation scores."""
        self._write({"epoch": runner.epoch, "split": "val", **(metrics or {})})

    def _write(self, row: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
