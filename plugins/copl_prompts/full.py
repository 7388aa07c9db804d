"""The other baseline: the encoders themselves are trained."""

from copl_core.contracts import Tuner


class Full(Tuner):
    """Trains both encoders and adds nothing between their layers.

    The encoders stay in evaluation mode like frozen ones: no drop-path, no update of batch-norm statistics. They count
    as additional parameters, and the prompts file holds them whole.
    """

    unfreezes = True

    @property
    def first_block(self) -> int:
        """0: gradients reach the patch embedding."""
        return 0
