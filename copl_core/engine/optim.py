"""Optimizer and learning-rate schedule: one group for the prompts, one for the head, each with its own rate."""

from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch.optim import Optimizer

from copl_core.api import ConfigError
from copl_core.config import Experiment, Schedule
from copl_core.model import TwoStream

OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def make_optimizer(model: TwoStream, schedule: Schedule) -> Optimizer:
    """Groups ``prompts`` (all the tuner trains, be it the encoders) and ``head``.

    An empty group is left out; frozen tensors never enter.

    Raises:
        ConfigError: Nothing trains.
    """
    groups = [
        {
            "name": name,
            "params": [p for module in modules for p in module.parameters() if p.requires_grad],
            "lr": rate,
        }
        for name, modules, rate in (
            ("prompts", (model.tuner, model.encoders), schedule.prompt_lr),
            ("head", (model.head,), schedule.head_lr),
        )
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise ConfigError(
            "nothing trains: neither tuner nor task.head has a parameter that isn't frozen; choose another of them"
        )
    make: Any = OPTIMIZERS[schedule.optimizer]
    optimizer: Optimizer = make(groups, weight_decay=schedule.weight_decay)
    return optimizer


def make_optim_wrapper(model: TwoStream, experiment: Experiment, device: torch.device) -> OptimWrapper:
    """The optimizer in MMEngine's wrapper; with fp16 the loss is scaled so that small gradients survive."""
    optimizer = make_optimizer(model, experiment.schedule)
    if experiment.compute.precision == "fp16":
        return AmpOptimWrapper(optimizer=optimizer, dtype="float16")
    return OptimWrapper(optimizer)


def scheduler_configs(schedule: Schedule, steps_per_epoch: int, *, done: int = 0) -> list[dict[str, Any]]:
    """MMEngine scheduler configs, stepped with the optimizer: a linear warm-up, then constant or cosine to zero.

    Args:
        schedule: The run's.
        steps_per_epoch: Steps of the optimizer.
        done: Steps taken before the schedule begins.
    """
    warmup, total = schedule.warmup_epochs * steps_per_epoch, schedule.epochs * steps_per_epoch - done
    configs: list[dict[str, Any]] = []
    if warmup:
        configs.append({"type": "LinearLR", "start_factor": 1e-3, "by_epoch": False, "begin": 0, "end": warmup})
    if schedule.lr_schedule == "cosine":
        configs.append(
            {
                "type": "CosineAnnealingLR",
                "T_max": max(1, total - warmup),
                "eta_min": 0.0,
                "by_epoch": False,
                "begin": warmup,
                "end": total,
            }
        )
    return configs
