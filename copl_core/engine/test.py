"""Test exported prompts."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.evaluator import Evaluator

from copl_core.checkpoint import Header, load_trained
from copl_core.config import Experiment
from copl_core.engine.build import Session, build_session
from copl_core.engine.loaders import make_loader
from copl_core.engine.runner import CoplRunner, MetricAdapter
from copl_core.registry import Registry


@dataclass(frozen=True)
class TestResult:
    """Scores on a split and what the prompts file said about itself."""

    scores: dict[str, float]
    header: Header
    session: Session


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
    session = build_session(experiment, registry, (split,))
    header = load_trained(prompts, session.model, session.encoders)
    schedule = experiment.schedule
    loader = make_loader(
        session.datasets[split],
        batch_size=schedule.eval_batch_size or schedule.batch_size,
        workers=schedule.workers,
        shuffle=False,
        seed=experiment.seed,
    )
    with tempfile.TemporaryDirectory() as work_dir:  # MMEngine insists on writing its log somewhere
        runner = CoplRunner(
            model=session.model,
            device=device,
            work_dir=work_dir,
            test_dataloader=loader,
            test_cfg={},
            test_evaluator=Evaluator([MetricAdapter(session.task.metric(), split)]),
            randomness={"seed": experiment.seed},
            experiment_name=work_dir,
        )
        scores = {name.removeprefix(f"{split}/"): value for name, value in runner.test().items()}
    return TestResult(scores=scores, header=header, session=session)
