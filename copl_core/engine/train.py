"""Train, select on validation, export, test once."""

import copy
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.optim import OptimWrapper
from rich.console import Console

import copl_core
from copl_core.api import ConfigError
from copl_core.checkpoint import Header, load_trained, save_trained
from copl_core.checkpoint.atomic import write_atomically
from copl_core.config import Experiment, dump_config
from copl_core.engine.build import Session, build_session
from copl_core.engine.hooks import (
    BestExport,
    FiniteLossHook,
    MetricsLogHook,
    ProgressHook,
    ReseedHook,
    SaveHook,
)
from copl_core.engine.hooks.metrics_log import METRICS_FILE
from copl_core.engine.loaders import make_loader
from copl_core.engine.optim import make_optimizer, scheduler_configs
from copl_core.engine.render import render
from copl_core.engine.resume import RESUME_FILE, read_state
from copl_core.engine.runner import CoplRunner, MetricAdapter
from copl_core.registry import Registry

EXPORT_FOLDER = "export"
CONFIG_FILE = "config.yaml"
RESULTS_FILE = "results.json"
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
    console: Console,
) -> TrainResult:
    """Run one experiment.

    Args:
        experiment: The checked config.
        registry: Resolves its components.
        work_dir: Receives config.yaml, train.log, metrics.jsonl, resume.pt, export/, results.json, examples.png.
        device: Where to train.
        resume: Continue from the state in ``work_dir`` if there is one.
        console: Where progress goes.

    Returns:
        Where the results are.

    Raises:
        CoplError: The config, data, weights or work dir can't be used.
    """
    state = _open_work_dir(work_dir, experiment, resume)
    # Paper-compat selects on test, as the published code bases do; every log and result says so.
    select_on = "test" if experiment.protocol == "paper_compat" else "val"
    session = build_session(experiment, registry, ("train", select_on, "test")[: 2 if select_on == "test" else 3])
    work_dir.mkdir(parents=True, exist_ok=True)
    _write_text(work_dir / CONFIG_FILE, dump_config(experiment.source))
    describe(session, console, device, select_on)

    export = work_dir / EXPORT_FOLDER
    best = BestExport(
        score=session.task.select_by,
        higher_is_better=session.task.higher_is_better,
        split=select_on,
        export=lambda metrics: _export(export, session, metrics),
    )
    progress = ProgressHook(console)
    schedule = experiment.schedule
    loaders = {
        split: make_loader(
            dataset,
            batch_size=schedule.batch_size if split == "train" else schedule.eval_batch_size or schedule.batch_size,
            workers=schedule.workers,
            shuffle=split == "train",
            seed=experiment.seed,
        )
        for split, dataset in session.datasets.items()
    }
    runner = CoplRunner(
        model=session.model,
        device=device,
        work_dir=str(work_dir),
        train_dataloader=loaders["train"],
        train_cfg={"by_epoch": True, "max_epochs": schedule.epochs, "val_interval": schedule.val_interval},
        optim_wrapper=OptimWrapper(make_optimizer(session.model, schedule)),
        param_scheduler=scheduler_configs(schedule, len(loaders["train"])) or None,
        val_dataloader=loaders[select_on],
        val_cfg={},
        val_evaluator=Evaluator([MetricAdapter(session.task.metric(), select_on)]),
        test_dataloader=loaders["test"],
        test_cfg={},
        test_evaluator=Evaluator([MetricAdapter(session.task.metric(), "test")]),
        randomness={"seed": experiment.seed},
        custom_hooks=[
            ReseedHook(experiment.seed),
            FiniteLossHook(),
            MetricsLogHook(work_dir / METRICS_FILE),
            progress,
            SaveHook(path=work_dir / RESUME_FILE, best=best, state=state, config=experiment.source),
        ],
        experiment_name=str(work_dir),
    )
    try:
        runner.train()
    finally:
        progress.close()

    load_trained(export, session.model, session.encoders)
    scores = {name.removeprefix("test/"): value for name, value in runner.test().items()}
    results = {
        "protocol": experiment.protocol,
        "selected_on": select_on,
        "epoch": best.best["epoch"],
        "selection": best.best["metrics"],
        "test": scores,
        "seed": experiment.seed,
    }
    render(session, "test", EXAMPLES, device).save(work_dir / EXAMPLES_FILE)
    _write_text(work_dir / RESULTS_FILE, json.dumps(results, indent=2) + "\n")
    return TrainResult(export=export, epoch=best.best["epoch"], scores=scores, examples=work_dir / EXAMPLES_FILE)


def describe(session: Session, console: Console, device: torch.device, select_on: str) -> None:
    """Say in a few lines what is about to run."""
    model, experiment = session.model, session.experiment
    frozen = sum(p.numel() for p in model.encoders.parameters())
    additional = sum(p.numel() for _, p in model.tuner.additional_parameters())
    head = sum(p.numel() for p in model.head.parameters())
    sizes = ", ".join(f"{split} {len(dataset)}" for split, dataset in session.datasets.items())
    console.print(
        f"tuner {experiment.tuner['type']}: {additional:,} additional parameters "
        f"({additional / max(1, frozen):.2%} of {frozen:,} frozen), head {head:,}"
    )
    console.print(f"clips: {sizes}; device {device}; seed {experiment.seed}; selecting on {select_on}")
    if experiment.protocol == "paper_compat":
        console.print("protocol paper_compat: checkpoints are selected on the TEST split, as the published code does")


def _open_work_dir(work_dir: Path, experiment: Experiment, resume: bool) -> dict[str, Any] | None:
    """The state to resume from, if any.

    Raises:
        ConfigError: The folder holds another run, or a run of another config.
    """
    path = work_dir / RESUME_FILE
    if not path.exists():
        return None
    if not resume:
        raise ConfigError(
            f"{work_dir} already holds a run; add --resume to continue it, or choose another --work-dir, or delete it"
        )
    state = read_state(path)
    saved = state["extra"]["config"]
    differing = sorted(key for key in {*saved, *experiment.source} if saved.get(key) != experiment.source.get(key))
    if differing:
        raise ConfigError(
            f"{work_dir} was trained with another config; these parts differ: {', '.join(differing)}\n"
            f"Compare {work_dir / CONFIG_FILE}; use the same settings to resume, or another --work-dir."
        )
    return state


def _export(folder: Path, session: Session, metrics: dict[str, float]) -> None:
    experiment = session.experiment
    header = Header(
        encoders=session.encoders,
        model=portable_model(experiment),
        components={path: dataclasses.asdict(component) for path, component in session.components.items()},
        scores=metrics,
        seed=experiment.seed,
        protocol=experiment.protocol,
        copl_version=copl_core.__version__,
    )
    save_trained(folder, session.model, header)


def portable_model(experiment: Experiment) -> dict[str, Any]:
    """The model part of the config without this machine's paths: no data set root, of weight files only the name."""
    model: dict[str, Any] = copy.deepcopy({key: experiment.source[key] for key in ("encoders", "tuner", "task")})
    model["task"].get("dataset", {}).pop("root", None)
    for encoder in model["encoders"].values():
        if isinstance(encoder, dict) and isinstance(encoder.get("weights"), str):
            encoder["weights"] = Path(encoder["weights"]).name
    return model


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
