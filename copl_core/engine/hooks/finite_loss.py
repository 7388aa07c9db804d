"""Stop at once when the loss is no longer a number."""

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from copl_core.api import CoplError


class FiniteLossHook(Hook):
    """MMEngine trains on through NaN; a run that can't recover should say which term broke and on which clips."""

    priority = "VERY_HIGH"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Check every named loss of the step."""
        terms = {name: value.item() for name, value in (outputs or {}).items() if "loss" in name}
        if all(math.isfinite(value) for value in terms.values()):
            return
        listed = ", ".join(f"{name}={value:.4g}" for name, value in terms.items())
        clips = ", ".join(map(str, (data_batch or {}).get("name", ["?"])))
        raise CoplError(
            f"the loss is not finite at epoch {runner.epoch + 1}, step {batch_idx + 1}: {listed}; clips: {clips}\n"
            "Lower schedule.prompt_lr or schedule.head_lr, add schedule.warmup_epochs, or look at these clips; "
            "--resume continues from the last finished epoch."
        )
