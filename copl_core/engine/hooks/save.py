"""What a run writes while it trains: the best prompts and head, and the state to resume from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from copl_core.engine.resume import restore_state, save_state

Export = Callable[[dict[str, float]], None]


class BestExport:
    """Keeps the best validation score and exports whenever it improves.

    Args:
        score: Name of the score, without split.
        higher_is_better: Its direction.
        split: The split it is measured on.
        export: Writes the present prompts and head, given the scores.
    """

    def __init__(self, *, score: str, higher_is_better: bool, split: str, export: Export) -> None:
        self.key = f"{split}/{score}"
        self.sign = 1.0 if higher_is_better else -1.0
        self.export = export
        self.best: dict[str, Any] = {}

    def offer(self, epoch: int, metrics: dict[str, float]) -> None:
        """Export if this is the best epoch so far; the earlier one wins a tie."""
        value = metrics[self.key]
        if not self.best or self.sign * value > self.sign * self.best["value"]:
            self.export(metrics)
            self.best = {"epoch": epoch, "value": value, "metrics": dict(metrics)}


class SaveHook(Hook):
    """After each validated epoch: offer it for export, then save the resume state; other epochs: the state only.

    The state is written after validation, so that a run killed in between repeats the epoch and misses no candidate.

    Args:
        path: Resume state file.
        best: Export of the best epoch.
        state: State to restore before training, or None to start anew.
        config: The resolved config, kept with the state to refuse a resume with another one.
    """

    priority = "VERY_LOW"

    def __init__(self, *, path: Path, best: BestExport, state: dict[str, Any] | None, config: dict[str, Any]) -> None:
        self.path = path
        self.best = best
        self.state = state
        self.config = config

    def before_run(self, runner: Runner) -> None:
        """Restore the saved state: loop, optimizer and schedulers are built by now and nothing has run."""
        if self.state is not None:
            restore_state(self.state, runner)
            self.best.best = dict(self.state["extra"]["best"])

    def after_train_epoch(self, runner: Runner) -> None:
        """Save, unless this epoch is validated next."""
        epoch, loop = runner.epoch + 1, runner.train_loop
        if epoch % loop.val_interval != 0 and epoch != loop.max_epochs:
            self._save(runner, epoch)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Offer the epoch for export, then save."""
        self.best.offer(runner.epoch, metrics or {})
        self._save(runner, runner.epoch)

    def _save(self, runner: Runner, epoch: int) -> None:
        save_state(self.path, runner, epoch, {"best": self.best.best, "config": self.config})
