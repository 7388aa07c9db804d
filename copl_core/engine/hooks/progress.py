"""Training progress for a person: a live bar on a terminal, short lines elsewhere."""

import time
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

#: Seconds between lines where the output is no terminal.
LINE_INTERVAL = 30.0


class ProgressHook(Hook):
    """Shows epoch, step, loss, rate and the time left, counted over training steps."""

    priority = "LOW"

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._bar: Any = None
        self._loss = float("nan")
        self._started = self._last_line = time.monotonic()
        self._first_step = 0

    def before_train(self, runner: Runner) -> None:
        """Start the clock and, on a terminal, the bar."""
        self._started = self._last_line = time.monotonic()
        self._first_step = runner.iter
        if self.console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), console=self.console, transient=True
            )
            self._bar = self._progress.add_task("starting", total=runner.max_iters, completed=runner.iter)
            self._progress.start()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Update the bar, or print a line from time to time."""
        loss = (outputs or {})["loss"].item()
        self._loss = loss if self._loss != self._loss else 0.9 * self._loss + 0.1 * loss
        text = self._describe(runner, batch_idx + 1, runner.iter + 1)
        if self._progress is not None:
            self._progress.update(self._bar, completed=runner.iter + 1, description=text)
        elif time.monotonic() - self._last_line > LINE_INTERVAL:
            self._last_line = time.monotonic()
            self.console.print(text)

    def after_train_epoch(self, runner: Runner) -> None:
        """One line an epoch."""
        steps = len(runner.train_dataloader)
        self._last_line = time.monotonic()
        self.console.print(self._describe(runner, steps, runner.iter))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """The validation scores."""
        scores = "  ".join(f"{name} {value:.4f}" for name, value in (metrics or {}).items())
        self.console.print(f"  {scores}")

    def after_train(self, runner: Runner) -> None:
        """Stop the bar."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, also after an error."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _describe(self, runner: Runner, step: int, done: int) -> str:
        """One line, after ``step`` steps of this epoch and ``done`` steps of the run."""
        per_step = (time.monotonic() - self._started) / max(1, done - self._first_step)
        minutes, seconds = divmod(int(per_step * (runner.max_iters - done)), 60)
        return (
            f"epoch {runner.epoch + 1}/{runner.max_epochs}  step {step}/{len(runner.train_dataloader)}  "
            f"loss {self._loss:.4f}  {1 / per_step:.1f} steps/s  left {minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        )
