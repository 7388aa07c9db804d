"""What a person reads at the beginning and at the end of a training."""

from collections.abc import Callable, Mapping

import torch

from copl_core.data import Problem, lost
from copl_core.engine.build import Session
from copl_core.engine.distributed import world_size

#: Of the clips left out, so many a split are named at the end.
SKIPPED_SHOWN = 10


def describe(session: Session, say: Callable[[str], object], device: torch.device, select_on: str) -> None:
    """Say in a few lines what is about to run."""
    model, experiment = session.model, session.experiment
    size = sum(p.numel() for p in model.encoders.parameters())
    additional = sum(p.numel() for _, p in model.additional_parameters())
    head = sum(p.numel() for p in model.head.parameters())
    for found in dict.fromkeys(dataset.describe() for dataset in session.datasets.values()):
        if found:
            say(f"data: {found}")
    sizes = ", ".join(f"{split} {len(dataset)}" for split, dataset in session.datasets.items())
    say(
        f"tuner {experiment.tuner['type']}: {additional:,} additional parameters "
        f"({additional / max(1, size):.2%} of the encoders' {size:,}), head {head:,}"
    )
    ranks = f" x {world_size()}" if world_size() > 1 else ""
    say(f"clips: {sizes}; device {device}{ranks}; seed {experiment.seed}; selecting on {select_on}")
    if experiment.protocol == "paper_compat":
        say("protocol paper_compat: checkpoints are selected on the TEST split, as the published code does")


def report_skipped(session: Session, unreadable: Mapping[str, str], say: Callable[[str], object]) -> dict[str, int]:
    """Name what kept clips from being used, and count the samples that were left out by split.

    Args:
        session: Whose data sets have left out some at start.
        unreadable: What could not be read later on, by split and clip.
        say: Tells the user.
    """
    counts: dict[str, int] = {}
    for split, dataset in session.datasets.items():
        here = f"{split}: "
        late = [Problem(where[len(here) :], what) for where, what in unreadable.items() if where.startswith(here)]
        problems = [*dataset.skipped, *late]
        if count := lost(problems):
            counts[split] = count
        for problem in problems[:SKIPPED_SHOWN]:
            say(f"skipped in {split}: {problem.where}  {problem.what}")
        if len(problems) > SKIPPED_SHOWN:
            say(f"skipped in {split}: {len(problems) - SKIPPED_SHOWN} more")
    return counts
