"""The task: AVE."""

from copl_ave.predictor import EventPredictor
from copl_core.contracts import Task


class AveTask(Task):
    """Ten seconds of a clip, one frame and one segment of sound each; checkpoints are selected by the accuracy."""

    frames = 10
    select_by = "accuracy"
    predictor = EventPredictor
