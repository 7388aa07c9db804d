"""When the resume state is saved: every so many steps, around validation, and before the run stops."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from copl_core.engine.resume import write_state
from copl_core.engine.runner import CoplRunner
from copl_core.engine.stop import StoppedError, StopSignal
from copl_core.engine.writing import Writer


class SaveHook(Hook):
    """Restores the state before the run, saves it on the way.

    The state is saved before validation, so that a run killed there need not train the end of the epoch again, and
    after it, with the score.

    Args:
        path: Resume state file.
        take: Takes the state of a run.
        restore: Puts a state into a run.
        state: State to restore, or None to start anew.
        every: Steps between two saves within an epoch, or None.
        stop: The signal after which to save and stop.
        writer: Decides what a failed save means.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        path: Path,
        take: Callable[[CoplRunner], Mapping[str, Any]],
        restore: Callable[[Mapping[str, Any], CoplRunner], object],
        state: Mapping[str, Any] | None,
        every: int | None,
        stop: StopSignal,
        writer: Writer,
    ) -> None:
        self.path = path
        self.take = take
        self.restore = restore
        self.state = state
        self.every = every
        self.stop = stop
        self.writer = writer

    def before_run(self, runner: CoplRunner) -> None:
        """Restore the state: loop, optimizer and schedulers are built by now and nothing has run."""
        if self.state is not None:
            self.restore(self.state, runner)
            self.state = None

    def after_step(self, runner: CoplRunner) -> None:
        """Save if it is time, or if the run is to stop.

        Raises:
            StoppedError: It is.
        """
        loop, signal = runner.train_loop, self.stop.agreed()
        due = self.every is not None and loop.step % self.every == 0
        if due or signal or (loop.step == loop.steps_per_epoch and loop.validates_next()):
            self._save(runner, required=bool(signal))
        if signal:
            raise StoppedError(signal)

    def after_epoch(self, runner: CoplRunner) -> None:
        """Save, with the score if the epoch was validated."""
        self._save(runner)

    def _save(self, runner: CoplRunner, *, required: bool = False) -> None:
        state = self.take(runner)
        self.writer.write("the resume state", lambda: write_state(self.path, state), required=required)
