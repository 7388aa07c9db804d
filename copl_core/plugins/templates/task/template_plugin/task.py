"""The task: what is fixed about it. Its parts come from the config."""

from copl_core.contracts import Task

from template_plugin.dataset import FRAMES


class TemplateName(Task):
    """One class for each clip; checkpoints are selected by the accuracy on the validation split."""

    frames = FRAMES
    select_by = "accuracy"
