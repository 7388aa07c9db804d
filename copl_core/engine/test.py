"""Test exported prompts."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook

from copl_core.checkpoint import Header, check_providers, load_trained, read_header
from copl_core.config import Experiment
from copl_core.contracts import Metric
from copl_core.engine.build import Session, build_session
from copl_core.engine.export import portable_model
from copl_core.engine.loaders import make_loader
from copl_core.engine.report import report_skipped
from copl_core.engine.runner import CoplRunner, MetricAdapter, check_device
from copl_core.registry import Registry


@dataclass(frozen=True)
class TestResult:
    """What a test has found.

    Attributes:
        scores: Scores on the split.
        header: What the prompts file says about itself.
        session: What was tested.
        metric: Has measured the clips.
        measured: What it has measured of each, by index in the data set.
        skipped: Number of samples that were left out.
        notes: Why, in lines for a person.
    """

    scores: dict[str, float]
    header: Header
    session: Session
    metric: Metric
    measured: Mapping[int, Any]
    skipped: int = 0
    notes: Sequence[str] = field(default_factory=list)


class _NoteUnreadable(Hook):
    """Takes down the clips of the split that can't be read."""

    def __init__(self, split: str) -> None:
        self.split = split

    def before_test_iter(self, runner: CoplRunner, batch_idx: int, data_batch: Any = None) -> None:
        """Look at a batch."""
        runner.check_batch(self.split, data_batch)


def test(experiment: Experiment, registry: Registry, *, prompts: Path, split: str, device: torch.device) -> TestResult:
    """Load prompts and head into the model of ``experiment`` and score them.

    Args:
        experiment: The checked config.
        registry: Resolves its components.
        prompts: The prompts file or the folder that holds it.
        split: ``train``, ``val`` or ``test``.
        device: Where to run.

    Raises:
        CoplError: The config, data or files can't be used together.
    """
    check_device(experiment, device)
    check_providers(prompts, read_header(prompts), registry.table)
    session = build_session(experiment, registry, (split,))
    header = load_trained(prompts, session.model, session.encoders, portable_model(experiment))
    schedule = experiment.schedule
    loader = make_loader(
        session.datasets[split],
        batch_size=schedule.eval_batch_size or schedule.batch_size,
        workers=schedule.workers,
        shuffle=False,
        seed=experiment.seed,
    )
    adapter = MetricAdapter(session.task.metric(names=session.model.names), split)
    with tempfile.TemporaryDirectory() as work_dir:  # MMEngine insists on writing its log somewhere
        runner = CoplRunner(
            model=session.model,
            device=device,
            work_dir=work_dir,
            test_dataloader=loader,
            test_cfg={},
            test_evaluator=Evaluator([adapter]),
            randomness={"seed": experiment.seed},
            custom_hooks=[_NoteUnreadable(split)],
            experiment_name=work_dir,
        )
        try:
            scores = {name.removeprefix(f"{split}/"): value for name, value in runner.test().items()}
        finally:
            runner.end_workers()
    notes: list[str] = []
    skipped = report_skipped(session, runner.unreadable, notes.append).get(split, 0)
    return TestResult(scores, header, session, adapter.metric, adapter.measured, skipped, notes)
