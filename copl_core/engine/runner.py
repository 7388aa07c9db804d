"""MMEngine's runner, quiet on the console, and the adapters between its interfaces and ours."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.runner import Runner
from torch import nn

from copl_core.api import ConfigError
from copl_core.contracts import Metric
from copl_core.data import raise_failure
from copl_core.model import TwoStream

LOG_FILE = "train.log"


class MoveToDevice(BaseDataPreprocessor):
    """Raises what a worker could not read, then moves tensors to the model's device."""

    def forward(self, data: Any, training: bool = False) -> Any:
        """Move one batch."""
        raise_failure(data)
        return self.cast_data(data)


class RunnerModel(BaseModel):
    """Lets MMEngine's loops drive a ``TwoStream``."""

    def __init__(self, model: TwoStream) -> None:
        super().__init__(data_preprocessor=MoveToDevice())
        self.model = model

    def forward(self, mode: str = "tensor", **batch: Any) -> Any:
        """``loss``: named losses; ``predict``: a list with the predictions, as MMEngine's evaluator wants it."""
        output = self.model(batch)
        if mode == "loss":
            return self.model.losses(output, batch)
        return [output.predictions]


class MetricAdapter(BaseMetric):
    """One of our metrics as MMEngine's."""

    def __init__(self, metric: Metric, split: str) -> None:
        super().__init__(prefix=split)
        self.metric = metric

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Measure one batch."""
        (predictions,) = data_samples
        self.results.extend(self.metric.measure(predictions, data_batch))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Summarise all clips."""
        return self.metric.summarize(results)


class CoplRunner(Runner):
    """Writes its full log to one file in the work dir and only warnings to the console."""

    def __init__(self, *, model: TwoStream, device: torch.device, **settings: Any) -> None:
        self.target_device = device
        hooks = {"logger": None, "checkpoint": None, **settings.pop("default_hooks", {})}
        super().__init__(model=RunnerModel(model), default_hooks=hooks, **settings)
        # MMEngine makes a dated folder for its own log and plots; ours go to the work dir itself.
        Path(self._log_dir).rmdir()

    @property
    def two_stream(self) -> TwoStream:
        """The model inside the adapters."""
        wrapped: Any = self.model
        inner: TwoStream = getattr(wrapped, "module", wrapped).model
        return inner

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Move the model to the device the user chose (MMEngine takes the first accelerator it finds)."""
        return model.to(self.target_device)

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """MMEngine's logger with its console handler raised to warnings."""
        logger = super().build_logger(log_level, str(Path(self.work_dir) / LOG_FILE), **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)
        return logger

    def dump_config(self) -> None:
        """Nothing: the resolved config is written by ``train``."""


def pick_device(name: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` as a device.

    Raises:
        ConfigError: CUDA was asked for and is absent.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    if name == "cuda" and not available:
        raise ConfigError("--device cuda: torch sees no CUDA device; use --device cpu or check the driver")
    return torch.device(name)
