"""Train, select on validation, export, test once."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from rich.console import Console

from copl_core.api import ConfigError, DataError
from copl_core.atomic import remove_leftovers, write_text
from copl_core.checkpoint import finish_pair, load_trained
from copl_core.config import Experiment, dump_config
from copl_core.engine.build import Session, build_session
from copl_core.engine.clips import check_clips, describe_clips
from copl_core.engine.distributed import rank, together, world_size
from copl_core.engine.export import export_session
from copl_core.engine.faults import explain
from copl_core.engine.hooks import (
    BestExport,
    CostHook,
    EmaHook,
    EvaluationHook,
    FirstStepHook,
    MetricsLogHook,
    ProgressHook,
    ReseedHook,
    SaveHook,
    TensorBoardHook,
    WandbHook,
)
from copl_core.engine.hooks.metrics_log import METRICS_FILE
from copl_core.engine.loaders import make_loader
from copl_core.engine.loop import TrainLoop
from copl_core.engine.memory import keep_freed_memory
from copl_core.engine.optim import make_optim_wrapper, scheduler_configs
from copl_core.engine.record import record_start
from copl_core.engine.render import render
from copl_core.engine.report import describe, report_skipped
from copl_core.engine.resume import PREVIOUS_FILE, RESUME_FILE, read_latest, set_damaged_aside
from copl_core.engine.runner import CoplRunner, MetricAdapter, check_device
from copl_core.engine.settings import run_settings
from copl_core.engine.snapshot import Extend, Snapshot, check_continues, check_encoders
from copl_core.engine.stop import StopSignal
from copl_core.engine.writing import Writer
from copl_core.protocol import protocol_mark, select_on
from copl_core.registry import Registry
from copl_core.results import COST_FILE, RESULTS_FILE

EXPORT_FOLDER = "export"
CONFIG_FILE = "config.yaml"
EXAMPLES_FILE = "examples.png"
#: Test clips drawn after training.
EXAMPLES = 4


@dataclass(frozen=True)
class TrainResult:
    """What a training left behind.

    Attributes:
        export: Folder with the prompts and head of the selected epoch.
        epoch: That epoch, counted from 1.
        scores: Its test scores.
        examples: Picture of some test clips.
    """

    export: Path
    epoch: int
    scores: dict[str, float]
    examples: Path


def train(
    experiment: Experiment,
    registry: Registry,
    *,
    work_dir: Path,
    device: torch.device,
    resume: bool = False,
    extend: Extend | None = None,
    console: Console,
) -> TrainResult:
    """Run one experiment; with several ranks, every one of them calls this.

    Args:
        experiment: The checked config.
        registry: Resolves its components.
        work_dir: Receives config.yaml, run.json, train.log, metrics.jsonl, resume.pt, export/, results.json,
            cost.json and examples.png.
        device: Where to train.
        resume: Continue from the state in ``work_dir`` if there is one.
        extend: How the learning rates go on if the config has more epochs than the run that is resumed.
        console: Where progress goes.

    Returns:
        Where the results are.

    Raises:
        StoppedError: A signal has ended the run; its state is saved.
        CoplError: The config, data, weights or work dir can't be used, or the run can't go on.
    """
    check_device(experiment, device)
    experiment.loggers.check_installed()
    if device.type == "cpu":
        keep_freed_memory()
    state, told = together(lambda: _read_work_dir(work_dir, resume=resume))
    settings = together(lambda: run_settings(experiment, registry))
    extend = None if state is None else together(lambda: check_continues(state, settings, extend, work_dir))
    session = together(lambda: _build(experiment, registry, state))
    together(lambda: _prepare(work_dir, session, registry, device, damaged=bool(told)))
    return _Run(session, settings, work_dir, device, console, extend).go(state, told)


def _build(experiment: Experiment, registry: Registry, state: Mapping[str, Any] | None) -> Session:
    """What is trained; with a state, it must be what that was saved of."""
    session = build_session(experiment, registry, ("train", *dict.fromkeys((select_on(experiment.protocol), "test"))))
    if state is not None:
        check_encoders(state, session)
        check_clips(state["extra"]["clips"], session.datasets["train"])
    return session


def _prepare(work_dir: Path, session: Session, registry: Registry, device: torch.device, *, damaged: bool) -> None:
    """Put the work dir in order; nothing before touches it.

    Args:
        work_dir: Of the run.
        session: What is trained.
        registry: Resolves the components.
        device: Where to train.
        damaged: Whether its newest state is.
    """
    if rank() > 0:
        return
    try:
        write_text(work_dir / CONFIG_FILE, dump_config(session.experiment.source))
        if damaged:
            set_damaged_aside(work_dir)
        finish_pair(work_dir / EXPORT_FOLDER)
        for folder in (work_dir, work_dir / EXPORT_FOLDER):
            remove_leftovers(folder)
        record_start(work_dir, session, registry.table, device)
    except OSError as error:
        raise ConfigError(f"cannot write to {work_dir}: {error}; choose another --work-dir or free space") from error


def _read_work_dir(work_dir: Path, *, resume: bool) -> tuple[dict[str, Any] | None, str]:
    """The state to resume from, if any, and what is to be told of it.

    Raises:
        ConfigError: The folder holds a run that is not to be resumed.
        WeightsError: Its state can't be read.
    """
    if not resume and any((work_dir / name).exists() for name in (RESUME_FILE, PREVIOUS_FILE)):
        raise ConfigError(
            f"{work_dir} already holds a run; add --resume to continue it, or choose another --work-dir, or delete it"
        )
    return read_latest(work_dir)


class _Run:
    """The parts of one training, and their order."""

    def __init__(
        self,
        session: Session,
        settings: Mapping[str, Any],
        work_dir: Path,
        device: torch.device,
        console: Console,
        extend: Extend | None,
    ) -> None:
        self.session = session
        self.settings = settings
        self.experiment = session.experiment
        self.schedule = session.experiment.schedule
        self.work_dir = work_dir
        self.device = device
        self.console = console
        self.select_on = select_on(session.experiment.protocol)
        self.extend = extend
        self.stop = StopSignal()
        self.writer = Writer(self.schedule.on_save_error, lambda text: self.runner.say(text))
        self.progress = ProgressHook(console, protocol_mark(session.experiment.protocol))
        self.cost = CostHook(device)
        self.best = BestExport(
            score=session.task.select_by,
            higher_is_better=session.task.higher_is_better,
            split=self.select_on,
            export=lambda metrics: export_session(work_dir / EXPORT_FOLDER, session, metrics),
            writer=self.writer,
        )

    def go(self, state: Mapping[str, Any] | None, told: str) -> TrainResult:
        """Train, test the export, and write what was found.

        Args:
            state: To go on from, if any.
            told: What a person is to know of it.
        """
        self.runner = self._make_runner(state)
        with self.runner.logging_all():
            if told:
                self.runner.say(told)
            describe(self.session, self.runner.say, self.device, self.select_on)
            try:
                scores = self._train_and_test()
            except Exception as error:
                explained = explain(error, self.runner.position)
                if explained is None:
                    raise
                raise explained from error
            finally:
                self.progress.close()
                self.runner.end_workers()
            return self._finish(scores)

    def _train_and_test(self) -> dict[str, float]:
        with self.stop:
            self.runner.train()
            load_trained(self.work_dir / EXPORT_FOLDER, self.session.model, self.session.encoders)
            scores: dict[str, float] = self.runner.test()
        return {name.removeprefix("test/"): value for name, value in scores.items()}

    def _finish(self, scores: dict[str, float]) -> TrainResult:
        """Write results and examples."""
        best, unreadable = self.best.best, self.runner.unreadable
        skipped = report_skipped(self.session, unreadable, self.runner.say)
        steps = self.runner.train_loop.skipped
        results = {
            "protocol": self.experiment.protocol,
            "selected_on": self.select_on,
            "epoch": best["epoch"],
            "selection": best["metrics"],
            "test": scores,
            "seed": self.experiment.seed,
            **({"skipped": skipped} if skipped else {}),
            **({"skipped_steps": steps} if steps else {}),
        }
        cost = self.cost.measured(self.session.model)
        for name, content in ((COST_FILE, cost), (RESULTS_FILE, results)):
            write = partial(write_text, self.work_dir / name, json.dumps(content, indent=2) + "\n")
            self.writer.write(name, write, required=True)
        self.writer.write(EXAMPLES_FILE, self._draw_examples)
        return TrainResult(
            export=self.work_dir / EXPORT_FOLDER,
            epoch=best["epoch"],
            scores=scores,
            examples=self.work_dir / EXAMPLES_FILE,
        )

    def _draw_examples(self) -> None:
        try:
            render(self.session, "test", EXAMPLES, self.device).save(self.work_dir / EXAMPLES_FILE)
        except DataError as error:
            self.runner.say(f"no {EXAMPLES_FILE}: {error}")

    def _make_runner(self, state: Mapping[str, Any] | None) -> CoplRunner:
        model, schedule = self.session.model, self.schedule
        loaders = {split: self._make_loader(split) for split in self.session.datasets}
        sampler: Any = loaders["train"].batch_sampler
        done = 0 if state is None or self.extend != "restart" else state["epoch"] * sampler.steps + state["step"]
        return CoplRunner(
            model=model,
            device=self.device,
            console=self.console,
            work_dir=str(self.work_dir),
            train_dataloader=loaders["train"],
            train_cfg={
                "type": TrainLoop,
                "max_epochs": schedule.epochs,
                "val_interval": schedule.val_interval,
                "skip_nonfinite": schedule.on_nonfinite == "skip",
            },
            optim_wrapper=make_optim_wrapper(model, self.experiment, self.device),
            param_scheduler=scheduler_configs(schedule, sampler.steps, done=done) or None,
            val_dataloader=loaders[self.select_on],
            val_cfg={},
            val_evaluator=self._make_evaluator(self.select_on),
            test_dataloader=loaders["test"],
            test_cfg={},
            test_evaluator=self._make_evaluator("test"),
            randomness={"seed": self.experiment.seed},
            custom_hooks=self._make_hooks(state),
            # MMEngine keeps loggers by this name, and warns if one is taken up again in the same process.
            experiment_name=f"{self.work_dir} {time.time_ns()}",
        )

    def _make_loader(self, split: str) -> torch.utils.data.DataLoader[Any]:
        schedule, training = self.schedule, split == "train"
        return make_loader(
            self.session.datasets[split],
            batch_size=schedule.batch_size if training else schedule.eval_batch_size or schedule.batch_size,
            workers=schedule.workers,
            shuffle=training,
            seed=self.experiment.seed,
            accumulate=schedule.accumulate if training else 1,
            rank=rank(),
            ranks=world_size(),
        )

    def _make_evaluator(self, split: str) -> Evaluator:
        return Evaluator([MetricAdapter(self.session.task.metric(names=self.session.model.names), split)])

    def _make_loggers(self) -> list[Hook]:
        wanted, made = self.experiment.loggers, list[Hook]()
        if wanted.tensorboard:
            made.append(TensorBoardHook(wanted.tensorboard, self.experiment, self.work_dir, self.writer))
        if wanted.wandb:
            made.append(WandbHook(wanted.wandb, self.experiment, self.work_dir, self.writer))
        return made

    def _make_hooks(self, state: Mapping[str, Any] | None) -> list[Hook]:
        metrics = MetricsLogHook(
            self.work_dir / METRICS_FILE, self.writer, split=self.select_on, protocol=self.experiment.protocol
        )
        ema = EmaHook(self.schedule.ema) if self.schedule.ema else None
        clips = describe_clips(self.session.datasets["train"])
        snapshot = Snapshot(self.session, self.settings, clips, self.best, metrics, ema, self.extend)
        return [
            ReseedHook(self.experiment.seed),
            FirstStepHook(),
            metrics,
            *([ema] if ema else []),
            self.progress,
            self.cost,
            *self._make_loggers(),
            EvaluationHook(self.stop, self.select_on),
            self.best,
            SaveHook(
                path=self.work_dir / RESUME_FILE,
                take=snapshot.take,
                restore=snapshot.restore,
                state=state,
                every=self.schedule.save_every,
                stop=self.stop,
                writer=self.writer,
            ),
        ]
