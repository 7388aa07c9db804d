"""Randomness as a function of (seed, epoch)."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from copl_core.engine.build import seed_everything


class ReseedHook(Hook):
    """Reseeds before every epoch.

    A resumed epoch then draws what the uninterrupted run drew, however often validation ran in between, and nothing
    has to be stored.
    """

    priority = "VERY_HIGH"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed all generators."""
        seed_everything((self.seed * 1_000_003 + runner.epoch * 4_099 + runner.rank) % 2**31)
