"""One JSON line an epoch and split: what a script or a notebook plots."""

import json
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from copl_core.atomic import write_text
from copl_core.engine.runner import CoplRunner
from copl_core.engine.writing import Writer
from copl_core.protocol import STANDARD, protocol_mark

METRICS_FILE = "metrics.jsonl"


class MetricsLogHook(Hook):
    """Keeps metrics.jsonl, ``{"epoch", "split", ...}``: mean losses after training, scores after validation.

    The rows and the means so far are part of the resume state, and the file is written whole: a killed run can neither
    cut a row nor repeat one.

    Args:
        path: The file.
        writer: Decides what a failed write means.
        split: The one that is validated on.
        protocol: Of the run; every row names it unless it is the standard one.
    """

    def __init__(self, path: Path, writer: Writer, *, split: str, protocol: str) -> None:
        self.path = path
        self.writer = writer
        self.split = split
        self.protocol = protocol
        self._rows: list[dict[str, Any]] = []
        self._sums: dict[str, float] = {}
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Rows and means so far."""
        return {"rows": list(self._rows), "sums": dict(self._sums), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a ``state_dict``."""
        self._rows, self._sums, self._steps = list(state["rows"]), dict(state["sums"]), state["steps"]

    def after_train_iter(
        self, runner: CoplRunner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Add a step's losses; a skipped step has none."""
        if outputs:
            for name, value in outputs.items():
                self._sums[name] = self._sums.get(name, 0.0) + value.item()
            self._steps += 1

    def after_train_epoch(self, runner: CoplRunner) -> None:
        """Write the epoch's mean losses, and start new means."""
        means = {name: value / self._steps for name, value in self._sums.items()}
        self._sums, self._steps = {}, 0
        self._write({"epoch": runner.epoch + 1, "split": "train", **means})
        told = "  ".join(f"{name} {value:.4f}" for name, value in means.items()) or "none, all were skipped"
        runner.note(f"epoch {runner.epoch + 1}, means over its steps: {told}{protocol_mark(self.protocol)}")

    def after_val_epoch(self, runner: CoplRunner, metrics: dict[str, float] | None = None) -> None:
        """Write the validation scores."""
        self._write({"epoch": runner.epoch, "split": self.split, **(metrics or {})})

    def _write(self, row: dict[str, Any]) -> None:
        self._rows.append(row if self.protocol == STANDARD else {**row, "protocol": self.protocol})
        text = "".join(json.dumps(row) + "\n" for row in self._rows)
        self.writer.write(self.path.name, lambda: write_text(self.path, text))
