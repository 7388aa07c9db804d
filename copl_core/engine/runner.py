"""MMEngine's runner, quiet on the console, and the adapters between its interfaces and ours."""

import inspect
import logging
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from logging import FileHandler
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmengine.model import BaseDataPreprocessor, BaseModel, MMDistributedDataParallel
from mmengine.runner import Runner
from rich.console import Console
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from copl_core.api import ConfigError, CoplError, DataError
from copl_core.config import Experiment
from copl_core.contracts import Batch, Metric
from copl_core.data import DataFailure, Problem, raise_failure
from copl_core.engine.batch_norm import synchronize_batch_norm
from copl_core.engine.distributed import gather, together, total, world_size
from copl_core.engine.faults import Position
from copl_core.engine.loaders import end_workers
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

    def init_weights(self) -> None:
        """Nothing: all parts are initialised when they are built. MMEngine's would log a line for each parameter."""

    def forward(self, mode: str = "tensor", **batch: Any) -> Any:
        """``loss``: named losses; ``predict``: a list with the predictions, as MMEngine's evaluator wants it.

        An empty batch has no predictions: None.
        """
        if not batch:
            return [None]
        output = self.model(batch)
        if mode == "loss":
            return self.model.losses(output, batch)
        return [output.predictions]


class MetricAdapter(BaseMetric):
    """One of our metrics as MMEngine's, over all ranks: every clip once, in the order of the data set.

    Attributes:
        measured: What ``metric`` has measured of each clip in the last evaluation, by index in the data set.
    """

    def __init__(self, metric: Metric, split: str) -> None:
        super().__init__(prefix=split)
        self.metric = metric
        self.measured: dict[int, Any] = {}

    def process(self, data_batch: Batch, data_samples: Sequence[Any]) -> None:
        """Measure one batch."""
        (predictions,) = data_samples
        if predictions is not None:
            self.results.extend(zip(data_batch["index"], self.metric.measure(predictions, data_batch), strict=True))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Summarise all clips."""
        return self.metric.summarize(results)

    def evaluate(self, size: int) -> dict[str, float]:
        """Summarise what all ranks have measured.

        Raises:
            DataError: Nothing could be read.
        """
        results = dict(result for part in gather(self.results) for result in part)
        self.results.clear()
        if not results:
            raise DataError(f"no clip of the {self.prefix} split can be read")
        self.measured = {index: results[index] for index in sorted(results)}
        scores = self.compute_metrics(list(self.measured.values()))
        return {f"{self.prefix}/{name}": value for name, value in scores.items()}


class CoplRunner(Runner):
    """Writes its full log to one file in the work dir and only warnings to the console.

    Args:
        model: What to train or test.
        device: This process's.
        console: Where a person reads what happens; None for nowhere.
        settings: MMEngine's.

    Attributes:
        position: Where the run is, for messages.
        trained: The parameters that train, by name.
        unreadable: What batches had to do without: split and clip, and what is wrong with it.
    """

    def __init__(
        self, *, model: TwoStream, device: torch.device, console: Console | None = None, **settings: Any
    ) -> None:
        self.target_device = device
        self.console = console or Console(quiet=True)
        self.position = Position()
        self.trained: Mapping[str, nn.Parameter] = dict(model.trained())
        self.unreadable: dict[str, str] = {}
        # MMEngine's own records of losses grow with every step; ours are hooks of the run.
        unused = ("runtime_info", "timer", "sampler_seed", "logger", "checkpoint")
        super().__init__(model=RunnerModel(model), default_hooks=dict.fromkeys(unused), **settings)
        # MMEngine makes a dated folder for its own log and plots; ours go to the work dir itself.
        with suppress(FileNotFoundError):  # another rank was faster
            Path(self._log_dir).rmdir()

    @property
    def two_stream(self) -> TwoStream:
        """The model inside the adapters."""
        inner: TwoStream = self._unwrapped.model
        return inner

    @property
    def _unwrapped(self) -> Any:
        return getattr(self.model, "module", self.model)

    def preprocess(self, batch: Batch) -> Batch:
        """Move a training batch to the model's device."""
        moved: Batch = self._unwrapped.data_preprocessor(batch, True)
        return moved

    def end_workers(self) -> None:
        """End the processes that read data."""
        for loader in (self._train_dataloader, self._val_dataloader, self._test_dataloader):
            if loader is not None:
                end_workers(loader)

    def say(self, text: str) -> None:
        """Tell the person at the console, and the log."""
        self.console.print(text)
        self.logger.info(text)

    def note(self, text: str) -> None:
        """Tell the log alone."""
        self.logger.info(text)

    def check_batch(self, split: str, batch: Batch) -> int:
        """Note the clips that a batch had to do without, and stop all ranks where one of them has no batch.

        Returns:
            Number of clips over all ranks.

        Raises:
            DataError: A clip can't be read and is not to be left out.
        """
        failed = isinstance(batch, DataFailure)
        failures, clips = total([failed, 0 if failed else len(batch.get("index", ()))])
        if failures:
            together(lambda: raise_failure(batch))
        problems: list[Problem] = batch.pop("unreadable", [])
        for problem in problems:
            self.unreadable[f"{split}: {problem.where}"] = problem.what
        return int(clips)

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Move the model to the device the user chose (MMEngine takes the first accelerator it finds)."""
        adapter: Any = model.to(self.target_device)
        if world_size() > 1:
            synchronize_batch_norm(adapter.model.tuner)
            synchronize_batch_norm(adapter.model.head)
            adapter = _distribute(adapter, self.target_device)
        wrapped: nn.Module = adapter
        return wrapped

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """MMEngine's logger with its console handler raised to warnings."""
        logger = super().build_logger(log_level, str(Path(self.work_dir) / LOG_FILE), **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, FileHandler):
                handler.setLevel(logging.WARNING)
                handler.addFilter(lambda record: not getattr(record, "for_file", False))
        return logger

    @contextmanager
    def logging_all(self) -> Iterator[None]:
        """Let the log have what ends the run, and what the data sets warn of meanwhile."""
        warnings, files = logging.getLogger("copl"), [h for h in self.logger.handlers if isinstance(h, FileHandler)]
        for handler in files:
            warnings.addHandler(handler)
        try:
            yield
        except Exception as error:
            text = str(error) if isinstance(error, CoplError) else traceback.format_exc()
            self.logger.error(text, extra={"for_file": True})
            raise
        finally:
            for handler in files:
                warnings.removeHandler(handler)

    def dump_config(self) -> None:
        """Nothing: the resolved config is written by ``train``."""


def _distribute(model: nn.Module, device: torch.device) -> MMDistributedDataParallel:
    """The model on all ranks. Buffers are equal at the start and stay so: nothing but batch norm changes them."""
    # The newer name, of torch 2.14, warns about the older one.
    newer = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    return MMDistributedDataParallel(
        module=model,
        device_ids=[device] if device.type == "cuda" else None,
        **{"forward_sync_buffers" if newer else "broadcast_buffers": False},
    )


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


def check_device(experiment: Experiment, device: torch.device) -> None:
    """Refuse what a device can't do, and make it deterministic if asked to.

    Raises:
        ConfigError: fp16 without CUDA.
    """
    if experiment.compute.precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"compute.precision: fp16 needs a CUDA device, this run is on {device}; use bf16 or fp32")
    if experiment.compute.deterministic:
        # cuBLAS reads it when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
