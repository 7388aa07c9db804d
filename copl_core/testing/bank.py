"""The check of a bank."""

from typing import Any

import torch
from torch import Tensor

from copl_core.contracts import Bank
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report
from copl_core.testing.stand_ins import CLIPS, FRAMES, random_tensor
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.trained import check_trained
from copl_core.testing.trial import Outputs, Trial

#: (width, length): d and L_I, several queries and one.
SIZES = ((32, 5), (48, 1))


def check_bank(component: Subject, /, **arguments: Any) -> None:
    """Check a bank against its contract, ``copl_core.contracts.Bank``.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("bank", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Bank, methods=("forward",))
        for width, length in SIZES:
            with report.setting(f"width {width}, length {length}"):
                if check_trained(report, _trial(candidate, width, length)):
                    report.check("queries", _check_queries, candidate, width, length)


def _trial(candidate: Candidate, width: int, length: int) -> Trial:
    def inputs(clips: int) -> Tensor:
        return random_tensor(CLIPS * FRAMES, length, width)[: clips * FRAMES]

    def run(bank: Bank, queries: Tensor) -> Outputs:
        return {"prompts": bank(queries)}

    return Trial(
        build=lambda: candidate.build(width=width, length=length),
        inputs=inputs,
        run=run,
        shapes={"prompts": (CLIPS * FRAMES, length, width)},
    )


def _check_queries(candidate: Candidate, width: int, length: int) -> None:
    """What is drawn depends on the queries, and by a gradient: the queries are trained through it."""
    queries = random_tensor(CLIPS * FRAMES, length, width).requires_grad_()
    prompts: Tensor = candidate.build(width=width, length=length)(queries)
    if prompts.requires_grad:
        torch.autograd.backward((prompts * random_tensor(*prompts.shape, seed=1)).sum())
    if queries.grad is None or not queries.grad.any():
        raise Failure("expected a gradient in the queries, none comes; draw with them, and not by a hard choice alone")
