"""MMEngine hooks of a training run, one a file."""

from copl_core.engine.hooks.best import BestExport
from copl_core.engine.hooks.cost import CostHook
from copl_core.engine.hooks.ema import EmaHook
from copl_core.engine.hooks.evaluation import EvaluationHook
from copl_core.engine.hooks.first_step import FirstStepHook
from copl_core.engine.hooks.metrics_log import MetricsLogHook
from copl_core.engine.hooks.progress import ProgressHook
from copl_core.engine.hooks.reseed import ReseedHook
from copl_core.engine.hooks.save import SaveHook
from copl_core.engine.hooks.scalars import ScalarsHook
from copl_core.engine.hooks.tensorboard import TensorBoardHook
from copl_core.engine.hooks.wandb import WandbHook

__all__ = [
    "BestExport",
    "CostHook",
    "EmaHook",
    "EvaluationHook",
    "FirstStepHook",
    "MetricsLogHook",
    "ProgressHook",
    "ReseedHook",
    "SaveHook",
    "ScalarsHook",
    "TensorBoardHook",
    "WandbHook",
]
