"""The baseline: frozen encoders, nothing between their layers."""

from copl_core.contracts import Tuner


class Frozen(Tuner):
    """Trains nothing; only the task's head learns. Both encoders run without autograd."""
