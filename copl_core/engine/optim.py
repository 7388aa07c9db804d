"""Optimizer and learning-rate schedule: one group for the prompts, one for the head, each with its own rate."""

from typing import Any

import torch
from torch.optim import Optimizer

from copl_core.config import Schedule
from copl_core.model import TwoStream

OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def make_optimizer(model: TwoStream, schedule: Schedule) -> Optimizer:
    """Groups ``prompts`` (all the tuner trains) and ``head``; an empty one is left out, frozen tensors never enter."""
    groups = [
        {"name": name, "params": [p for p in module.parameters() if p.requires_grad], "lr": rate}
        for name, module, rate in (
            ("prompts", model.tuner, schedule.prompt_lr),
            ("head", model.head, schedule.head_lr),
        )
    ]
    groups = [group for group in groups if group["params"]]
    make: Any = OPTIMIZERS[schedule.optimizer]
    optimizer: Optimizer = make(groups, weight_decay=schedule.weight_decay)
    return optimizer


def scheduler_configs(schedule: Schedule, steps_per_epoch: int) -> list[dict[str, Any]]:
    """MMEngine scheduler configs, stepped every iteration: a linear warm-up, then constant or cosine to zero."""
    warmup, total = schedule.warmup_epochs * steps_per_epoch, schedule.epochs * steps_per_epoch
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
