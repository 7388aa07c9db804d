"""What the services that draw curves have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from mmengine.hooks import Hook

from copl_core.engine.distributed import rank, together
from copl_core.engine.runner import CoplRunner
from copl_core.engine.writing import Writer
from copl_core.protocol import STANDARD


class ScalarsHook(Hook, ABC):
    """Sends losses, learning rates and scores to a service, from rank 0, over finished steps of the optimizer.

    ``train/<loss>``, ``lr/<group>``; ``val/<score>`` as the metrics are named; ``final/<score>`` for the one test at
    the end. With another protocol than the standard one, every name begins with it.

    Args:
        interval: Steps between two points of losses and learning rates.
        protocol: Of the run.
        writer: Decides what a full disk means.
    """

    #: Before MMEngine's schedulers set the rates of the next step.
    priority = "BELOW_NORMAL"
    service: ClassVar[str]

    def __init__(self, interval: int, protocol: str, writer: Writer) -> None:
        self.interval = interval
        self.writer = writer
        self._mark = "" if protocol == STANDARD else f"{protocol}/"

    @abstractmethod
    def open(self, step: int) -> None:
        """Begin, or go on after ``step`` finished steps; what was sent of later ones must not count twice."""

    @abstractmethod
    def send(self, step: int, values: Mapping[str, float]) -> None:
        """Send numbers by name, after ``step`` finished steps."""

    @abstractmethod
    def close(self) -> None:
        """The run is over."""

    def before_train(self, runner: CoplRunner) -> None:
        """Open the service before the first step; all ranks stop if it refuses."""
        together(lambda: self.open(runner.iter) if rank() == 0 else None)

    def after_train_iter(
        self, runner: CoplRunner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Send losses and learning rates; a skipped step has none."""
        step = runner.iter + 1
        if outputs and step % self.interval == 0:
            losses = {f"train/{name}": value.item() for name, value in outputs.items()}
            # Not the wrapper's groups: it adds an empty one that has no name.
            groups = runner.optim_wrapper.optimizer.param_groups
            rates = {f"lr/{group['name']}": float(group["lr"]) for group in groups}
            self._send(step, losses | rates)

    def after_val_epoch(self, runner: CoplRunner, metrics: dict[str, float] | None = None) -> None:
        """Send validation scores."""
        self._send(runner.iter, metrics or {})

    def after_test_epoch(self, runner: CoplRunner, metrics: dict[str, float] | None = None) -> None:
        """Send the test scores of the exported epoch: the end of a training run."""
        self._send(runner.iter, {f"final/{name}": value for name, value in (metrics or {}).items()})

    def after_test(self, runner: CoplRunner) -> None:
        """Close the service."""
        if rank() == 0:
            self.close()

    def _send(self, step: int, values: Mapping[str, float]) -> None:
        if values:
            marked = {self._mark + name: value for name, value in values.items()}
            self.writer.write(f"the curves for {self.service}", lambda: self.send(step, marked))
