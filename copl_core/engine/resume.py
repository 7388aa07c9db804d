"""Resume state: what a killed run needs to go on, and nothing of the encoders."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from copl_core.api import WeightsError
from copl_core.checkpoint.atomic import write_atomically
from copl_core.engine.runner import CoplRunner

RESUME_FILE = "resume.pt"


def save_state(path: Path, runner: CoplRunner, epoch: int, extra: dict[str, Any]) -> None:
    """Write tuner, head, optimizer, schedule and position, atomically; loads with ``weights_only=True``.

    Args:
        path: The state file.
        runner: The running runner.
        epoch: Finished epochs.
        extra: Plain values to keep beside it.
    """
    state = {
        "epoch": epoch,
        "step": epoch * len(runner.train_dataloader),
        "trained": _trained_state(runner),
        "optimizer": runner.optim_wrapper.state_dict(),
        "schedulers": [scheduler.state_dict() for scheduler in _schedulers(runner)],
        "extra": extra,
    }
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def read_state(path: Path) -> dict[str, Any]:
    """Read a state file.

    Raises:
        WeightsError: The file can't be read.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle's, zipfile's and its own errors here
        raise WeightsError(
            f"cannot read the resume state {path}: {str(error).splitlines()[0]}\n"
            "Delete it to start again, or train into another --work-dir."
        ) from error
    return state


def restore_state(state: dict[str, Any], runner: CoplRunner) -> None:
    """Put a state into a runner that has built its loop, optimizer and schedulers but not started."""
    model = runner.two_stream
    for name, module in (("tuner", model.tuner), ("head", model.head)):
        module.load_state_dict(state["trained"][name])
    runner.optim_wrapper.load_state_dict(state["optimizer"])
    for scheduler, saved in zip(_schedulers(runner), state["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    runner.train_loop._epoch = state["epoch"]
    runner.train_loop._iter = state["step"]


def _trained_state(runner: CoplRunner) -> dict[str, dict[str, Tensor]]:
    model = runner.two_stream
    return {"tuner": model.tuner.state_dict(), "head": model.head.state_dict()}


def _schedulers(runner: CoplRunner) -> list[Any]:
    return list(runner.param_schedulers or [])
