"""The state of a run in memory: taken from a runner, checked against a config, put into a runner."""

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from copl_core.api import ConfigError, WeightsError
from copl_core.engine.build import Session
from copl_core.engine.distributed import gather, world_size
from copl_core.engine.hooks.best import BestExport
from copl_core.engine.hooks.ema import EmaHook
from copl_core.engine.hooks.metrics_log import MetricsLogHook
from copl_core.engine.runner import CoplRunner
from copl_core.engine.settings import differences

#: How the learning rates go on when epochs are added: as if planned so from the start, or anew over what is left.
Extend: TypeAlias = Literal["stretch", "restart"]
EXTENSIONS: tuple[Extend, ...] = ("stretch", "restart")
_EPOCHS = "schedule.epochs"


@dataclass(frozen=True)
class Snapshot:
    """Takes and restores the state of one run.

    Attributes:
        session: What is trained.
        settings: What the run is, see ``run_settings``.
        clips: What it trains on, see ``describe_clips``.
        best: The export of the best epoch.
        metrics: The log of metrics.
        ema: The average of what is trained, if there is one.
        extend: How the learning rates go on from a state of a shorter run.
    """

    session: Session
    settings: Mapping[str, Any]
    clips: Mapping[str, Any]
    best: BestExport
    metrics: MetricsLogHook
    ema: EmaHook | None
    extend: Extend | None = None

    def take(self, runner: CoplRunner) -> dict[str, Any]:
        """The state after the present step; to be called by all ranks at the same point.

        ``trained`` is what an export would hold. With an average, ``raw`` holds the parameters themselves.
        """
        loop, model = runner.train_loop, runner.two_stream
        with self.ema.applied(runner) if self.ema else nullcontext():
            trained = {"prompts": _copy(model.prompts_state()), "head": _copy(model.head.state_dict())}
        runner.unreadable = {where: what for part in gather(runner.unreadable) for where, what in part.items()}
        return {
            "epoch": loop.epoch,
            "step": loop.step,
            "steps_per_epoch": loop.steps_per_epoch,
            "ranks": world_size(),
            "trained": trained,
            "raw": _copy(runner.trained) if self.ema else None,
            "optimizer": runner.optim_wrapper.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in _schedulers(runner)],
            "extra": {
                "config": self.session.experiment.source,
                "components": {path: asdict(part) for path, part in self.session.components.items()},
                "settings": dict(self.settings),
                "encoders": _fingerprints(self.session),
                "clips": dict(self.clips),
                "best": self.best.best,
                "metrics": self.metrics.state_dict(),
                "skipped_steps": [loop.skipped, loop.skipped_in_a_row],
                "unreadable": runner.unreadable,
            },
        }

    def restore(self, state: Mapping[str, Any], runner: CoplRunner) -> None:
        """Put a state into a runner that has built its loop, optimizer and schedulers but not started.

        Raises:
            WeightsError: The state was saved by other code.
        """
        loop, extra = runner.train_loop, state["extra"]
        loop.epoch, loop.step = state["epoch"], state["step"]
        try:
            self._restore_tensors(state, runner)
            _restore_rates(state, runner, self.extend)
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"the resume state does not fit the model that its config builds now: {error}\n"
                "Use the versions of copl and its plugins that it was trained with."
            ) from error
        loop.skipped, loop.skipped_in_a_row = extra["skipped_steps"]
        runner.unreadable = dict(extra["unreadable"])
        self.best.best = dict(extra["best"])
        self.metrics.load_state_dict(extra["metrics"])

    def _restore_tensors(self, state: Mapping[str, Any], runner: CoplRunner) -> None:
        model = runner.two_stream
        model.load_prompts_state(state["trained"]["prompts"])
        model.head.load_state_dict(state["trained"]["head"])
        if self.ema:
            self.ema.average = _copy(runner.trained)
            with torch.no_grad():
                for name, parameter in runner.trained.items():
                    parameter.copy_(state["raw"][name])


def check_encoders(state: Mapping[str, Any], session: Session) -> None:
    """Refuse a state whose prompts were trained on other encoders than those at hand.

    Raises:
        WeightsError: They have other weights.
    """
    if state["extra"]["encoders"] != _fingerprints(session):
        raise WeightsError("the run was trained on other encoder weights; put those back to go on from its state")


def check_continues(
    state: Mapping[str, Any], settings: Mapping[str, Any], extend: Extend | None, work_dir: Path
) -> Extend | None:
    """Refuse to resume a run with settings that would make it another run.

    Args:
        state: The run's.
        settings: What it is to be resumed with, see ``run_settings``.
        extend: How the learning rates go on if epochs are added.
        work_dir: The run's, for messages.

    Returns:
        ``extend`` if epochs are added, otherwise None: the flag may stay on the command line when a run that it has
        extended is resumed.

    Raises:
        ConfigError: Naming all settings that differ, or asking how the schedule is to go on.
    """
    differing = differences(state["extra"]["settings"], settings)
    others = [told for path, told in differing.items() if path != _EPOCHS]
    if others:
        raise ConfigError(
            f"{work_dir} was trained with other settings; these parts differ: {', '.join(others)}\n"
            f"Use the same to resume, or another --work-dir. What {work_dir / 'config.yaml'} doesn't name is a default "
            "that was another one in the version of copl or its plugin that began the run."
        )
    if state["ranks"] != world_size():
        raise ConfigError(
            f"{work_dir} was trained by {state['ranks']} processes, this start has {world_size()}; "
            "a step would hold other clips: resume with the same number"
        )
    if not differing:
        return None
    _check_epochs(state, settings, extend)
    return extend


def _check_epochs(state: Mapping[str, Any], settings: Mapping[str, Any], extend: Extend | None) -> None:
    saved, epochs = state["extra"]["settings"][_EPOCHS], settings[_EPOCHS]
    if epochs < saved:
        raise ConfigError(
            f"schedule.epochs: the run was planned for {saved} epochs, now for {epochs}; "
            "a run can't become shorter: its learning rates were set for the whole of it"
        )
    if not extend:
        raise ConfigError(
            f"schedule.epochs: the run was planned for {saved} epochs, now for {epochs}; say how its learning rates go "
            "on:\n"
            "  --extend stretch   as if it had been planned so from the start\n"
            "  --extend restart   once more from the start, warm-up included, over the epochs that are left"
        )
    steps, warmup = state["steps_per_epoch"], settings["schedule.warmup_epochs"]
    left = (epochs - state["epoch"]) * steps - state["step"]
    if extend == "restart" and warmup * steps >= left:
        raise ConfigError(
            f"--extend restart: {left} steps are left, no more than the {warmup * steps} of schedule.warmup_epochs"
        )


def _restore_rates(state: Mapping[str, Any], runner: CoplRunner, extend: Extend | None) -> None:
    """Restore optimizer and schedulers.

    With ``extend``, the schedulers at hand were built for the longer run; what they set replaces the saved rates.
    """
    schedulers = _schedulers(runner)
    if extend == "stretch":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they expect a step of the optimizer before each of theirs
            for _ in range(runner.train_loop.iter):
                for scheduler in schedulers:
                    scheduler.step()
    rates = [group["lr"] for group in runner.optim_wrapper.param_groups]
    runner.optim_wrapper.load_state_dict(state["optimizer"])
    if extend:
        for group, rate in zip(runner.optim_wrapper.param_groups, rates, strict=True):
            group["lr"] = rate
        return
    for scheduler, saved in zip(schedulers, state["schedulers"], strict=True):
        scheduler.load_state_dict(saved)


def _fingerprints(session: Session) -> dict[str, dict[str, str]]:
    return {role: dict(encoder["fingerprint"]) for role, encoder in session.encoders.items()}


def _copy(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _schedulers(runner: CoplRunner) -> list[Any]:
    return list(runner.param_schedulers or [])
