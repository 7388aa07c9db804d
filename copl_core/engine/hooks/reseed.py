"""Randomness as a function of (seed, rank, step)."""

from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from copl_core.engine.build import seed_everything
from copl_core.engine.distributed import rank


class ReseedHook(Hook):
    """Reseeds before every step.

    A resumed step then draws what the uninterrupted run drew, however often validation ran in between, and nothing has
    to be stored. Ranks draw different numbers.
    """

    priority = "VERY_HIGH"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed all generators."""
        seed_everything(int(np.random.SeedSequence([self.seed, rank(), runner.iter]).generate_state(1)[0]))
