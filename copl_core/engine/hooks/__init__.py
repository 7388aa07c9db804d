"""MMEngine hooks of a training run, one a file."""

from copl_core.engine.hooks.finite_loss import FiniteLossHook
from copl_core.engine.hooks.metrics_log import MetricsLogHook
from copl_core.engine.hooks.progress import ProgressHook
from copl_core.engine.hooks.reseed import ReseedHook
from copl_core.engine.hooks.save import BestExport, SaveHook

__all__ = ["BestExport", "FiniteLossHook", "MetricsLogHook", "ProgressHook", "ReseedHook", "SaveHook"]
