"""Training progress for a person: a live bar on a terminal, short lines elsewhere and in the log."""

import time
from typing import Any

from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from copl_core.engine.runner import CoplRunner

#: Seconds between lines in the log, and on the console where that is no terminal.
LINE_INTERVAL = 30.0


class ProgressHook(Hook):
    """Shows epoch, step, loss, rate and the time left, counted over training steps.

    Args:
        console: Where the bar goes; lines go through the runner.
        mark: Ends every line of losses and scores, see ``protocol_mark``.
    """

    priority = "LOW"

    def __init__(self, console: Console, mark: str = "") -> None:
        self.console = console
        self.mark = mark
        self._progress: Progress | None = None
        self._bar: Any = None
        self._loss = float("nan")
        self._started = self._last_line = time.monotonic()
        self._first_step = 0

    def before_train(self, runner: CoplRunner) -> None:
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
        self, runner: CoplRunner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Update the bar, or print a line from time to time."""
        if outputs:  # a skipped step has no losses
            loss = outputs["loss"].item()
            self._loss = loss if self._loss != self._loss else 0.9 * self._loss + 0.1 * loss
        text = self._describe(runner, batch_idx + 1, runner.iter + 1)
        if self._progress is not None:
            self._progress.update(self._bar, completed=runner.iter + 1, description=text)
        if time.monotonic() - self._last_line > LINE_INTERVAL:
            self._last_line = time.monotonic()
            tell = runner.note if self._progress is not None else runner.say
            tell(text + self.mark)

    def after_train_epoch(self, runner: CoplRunner) -> None:
        """One line an epoch."""
        self._last_line = time.monotonic()
        runner.say(self._describe(runner, runner.train_loop.steps_per_epoch, runner.iter) + self.mark)

    def after_val_epoch(self, runner: CoplRunner, metrics: dict[str, float] | None = None) -> None:
        """The validation scores."""
        runner.say(f"  {_scores(metrics)}{self.mark}")

    def after_test_epoch(self, runner: CoplRunner, metrics: dict[str, float] | None = None) -> None:
        """The test scores, for the log: the command prints them at its end."""
        runner.note(f"{_scores(metrics)}{self.mark}")

    def after_train(self, runner: CoplRunner) -> None:
        """Stop the bar."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, also after an error."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _describe(self, runner: CoplRunner, step: int, done: int) -> str:
        """One line, after ``step`` steps of this epoch and ``done`` steps of the run."""
        per_step = (time.monotonic() - self._started) / max(1, done - self._first_step)
        minutes, seconds = divmod(int(per_step * (runner.max_iters - done)), 60)
        return (
            f"epoch {runner.epoch + 1}/{runner.max_epochs}  step {step}/{runner.train_loop.steps_per_epoch}  "
            f"loss {self._loss:.4f}  {1 / per_step:.1f} steps/s  left {minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        )


def _scores(metrics: dict[str, float] | None) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in (metrics or {}).items())
