"""The task: AVSBench S4."""

from copl_core.contracts import Task


class AvsS4Task(Task):
    """Five frames of a five-second clip; checkpoints are selected by the mean IoU."""

    frames = 5
    select_by = "mIoU"
