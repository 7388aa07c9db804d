"""The task: MUSIC-AVQA."""

from copl_avqa.predictor import AnswerPredictor
from copl_core.contracts import Task


class AvqaTask(Task):
    """Ten frames of a video; checkpoints are selected by the accuracy over all questions."""

    frames = 10
    select_by = "accuracy"
    predictor = AnswerPredictor
