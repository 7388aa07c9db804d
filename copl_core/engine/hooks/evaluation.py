"""Between the batches of validation and test: unreadable clips, and signals to stop."""

from typing import Any

from mmengine.hooks import Hook

from copl_core.contracts import Batch
from copl_core.engine.runner import CoplRunner
from copl_core.engine.stop import StopSignal


class EvaluationHook(Hook):
    """Nothing is lost by stopping here: the state was saved before.

    Args:
        stop: The signal.
        select_on: Split that is validated on.
    """

    priority = "VERY_HIGH"

    def __init__(self, stop: StopSignal, select_on: str) -> None:
        self.stop = stop
        self.select_on = select_on

    def before_val_iter(self, runner: CoplRunner, batch_idx: int, data_batch: Any = None) -> None:
        """Look at a batch of the split that is validated on."""
        self._check(runner, self.select_on, data_batch)

    def before_test_iter(self, runner: CoplRunner, batch_idx: int, data_batch: Any = None) -> None:
        """Look at a batch of the test split."""
        self._check(runner, "test", data_batch)

    def _check(self, runner: CoplRunner, split: str, batch: Batch) -> None:
        runner.position.where, runner.position.batch = f"evaluating {split}", batch
        self.stop.check()
        runner.check_batch(split, batch)
