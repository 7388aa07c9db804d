"""The training loop: steps of the optimizer, which can begin anywhere in an epoch."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from copl_core.api import CoplError, DataError
from copl_core.contracts import Batch
from copl_core.engine.buffers import copy_buffers, restore_buffers
from copl_core.engine.distributed import gather, stop_together
from copl_core.engine.faults import SKIPPED_IN_A_ROW, Fault, not_finite
from copl_core.engine.gradients import StepLosses, add_gradients
from copl_core.engine.loaders import StepSampler
from copl_core.engine.runner import CoplRunner


class TrainLoop(BaseLoop):
    """MMEngine's epoch loop, counted in steps of the optimizer.

    A step adds up the gradients of its batches on all ranks: it is the step that one batch of all these clips would
    give (see ``add_gradients``). ``runner.iter`` counts steps, and so do hooks and schedulers.

    Hooks are called as MMEngine calls them, with two points more: ``after_backward``, before the optimizer steps, and
    ``after_step``, when the step is finished and may be saved. ``after_train_iter`` gets the step's mean losses over
    all ranks, or none if the step was skipped. ``after_epoch`` follows validation.

    Args:
        runner: Whose model is trained.
        dataloader: With a ``StepSampler``.
        max_epochs: Epochs to train.
        val_interval: Epochs between two validations; the last epoch is always validated.
        skip_nonfinite: Skip a step whose loss or gradient is not finite, instead of stopping. The model is then what it
            was before.
    """

    def __init__(
        self,
        runner: CoplRunner,
        dataloader: DataLoader[Any],
        *,
        max_epochs: int,
        val_interval: int,
        skip_nonfinite: bool,
    ) -> None:
        super().__init__(runner, dataloader)
        self.max_epochs = max_epochs
        self.val_interval = val_interval
        self.skip_nonfinite = skip_nonfinite
        sampler: Any = dataloader.batch_sampler
        self.sampler: StepSampler = sampler
        self.epoch = self.step = 0
        self.skipped = self.skipped_in_a_row = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimizer an epoch."""
        return self.sampler.steps

    @property
    def iter(self) -> int:
        """Finished steps of the run."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def max_iters(self) -> int:
        """Steps of the whole run."""
        return self.max_epochs * self.steps_per_epoch

    def validates_next(self) -> bool:
        """True if the present epoch is validated at its end."""
        done = self.epoch + 1
        return done % self.val_interval == 0 or done == self.max_epochs

    def run(self) -> Any:
        """Train from the present position to the end."""
        self.runner.call_hook("before_train")
        while self.epoch < self.max_epochs:
            self.run_epoch()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Run what is left of the epoch, and validate if it is time."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        if self.step < self.steps_per_epoch:
            self.sampler.start_at(self.epoch, self.step)
            batches = iter(self.dataloader)
            while self.step < self.steps_per_epoch:
                self.run_step(batches)
        validate = self.validates_next()
        self.runner.call_hook("after_train_epoch")
        self.epoch, self.step = self.epoch + 1, 0
        if validate:
            self.runner.val_loop.run()
        self.runner.call_hook("after_epoch")

    def run_step(self, batches: Iterator[Batch]) -> None:
        """Take one step of the optimizer."""
        runner = self.runner
        runner.position.where = f"epoch {self.epoch + 1}, step {self.step + 1}"
        runner.call_hook("before_train_iter", batch_idx=self.step)
        scaled = hasattr(runner.optim_wrapper, "loss_scaler")
        buffers = copy_buffers(runner.two_stream) if self.skip_nonfinite or scaled else []
        step = add_gradients(
            runner,
            batches,
            count=self.sampler.batches(self.step),
            clips=self.sampler.clips(self.step),
            stand_in=self._stand_in,
        )
        runner.call_hook("after_backward")
        fault = self._update(step, scaled)
        if fault:
            self._skip_or_stop(fault, step)
            restore_buffers(buffers)
        else:
            self.skipped_in_a_row = 0
        runner.optim_wrapper.zero_grad()
        outputs = {} if fault else {name: torch.tensor(value) for name, value in step.means.items()}
        runner.call_hook("after_train_iter", batch_idx=self.step, data_batch={"name": step.names}, outputs=outputs)
        self.step += 1
        runner.call_hook("after_step")

    def _stand_in(self) -> Batch:
        """The first readable clip of the epoch."""
        loader = self.dataloader
        for index in range(len(loader.dataset)):
            batch: Batch = loader.collate_fn([loader.dataset[self.epoch, index]])
            if batch.get("index"):
                return batch
        return stop_together(DataError("no clip of the training split can be read"))

    def _update(self, step: StepLosses, scaled: bool) -> Fault | None:
        """Let the optimizer step, unless that would do harm; says what is wrong then."""
        optimizer, trained = self.runner.optim_wrapper, self.runner.trained
        # With fp16, gradients that are not finite are the scaler's to find: the loss scale may be too large.
        problem = not_finite(step.means, {} if scaled else trained)
        if problem:
            return Fault(problem)
        if not step.means:  # no clip of the step could be read
            return None
        scale = optimizer.loss_scaler.get_scale() if scaled else 0.0
        optimizer.step()
        if not scaled or optimizer.loss_scaler.get_scale() >= scale:
            return None
        problem = not_finite({}, trained) or "the gradient is not finite"
        return Fault(f"{problem}, with a loss scale of {scale:g}", expected=scale > 1)

    def _skip_or_stop(self, fault: Fault, step: StepLosses) -> None:
        """Count a step that is no use.

        Raises:
            CoplError: Such steps aren't to be skipped, or there were too many in a row.
        """
        found = gather((step.not_finite(), step.names))
        clips = [name for ours, _ in found for name in ours] or [name for _, ours in found for name in ours]
        text = f"{self.runner.position.where}: {fault.problem}; clips: {', '.join(map(str, clips))}"
        self.skipped += 1
        if fault.expected:
            self.runner.note(f"step skipped: {text}")
            return
        self.skipped_in_a_row += 1
        if self.skip_nonfinite and self.skipped_in_a_row < SKIPPED_IN_A_ROW:
            self.runner.say(f"step skipped: {text}")
            return
        many = f"\n{SKIPPED_IN_A_ROW} steps in a row were skipped." if self.skip_nonfinite else ""
        stop_together(
            CoplError(
                f"{text}{many}\n"
                "Lower schedule.prompt_lr or schedule.head_lr, add schedule.warmup_epochs, or look at these clips; "
                "schedule.on_nonfinite=skip skips such steps; --resume continues from the last saved step."
            )
        )
