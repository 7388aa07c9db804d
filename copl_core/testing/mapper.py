"""The check of a mapper."""

from typing import Any

from torch import Tensor

from copl_core.contracts import Mapper
from copl_core.testing.classes import check_class
from copl_core.testing.report import Report
from copl_core.testing.stand_ins import CLIPS, FRAMES, random_tensor
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.trained import check_trained
from copl_core.testing.trial import Outputs, Trial

#: Widths (source, target): wider, narrower, equal.
WIDTHS = ((32, 48), (48, 32), (32, 32))
#: P, of several prompts and of one.
LENGTHS = (5, 1)


def check_mapper(component: Subject, /, **arguments: Any) -> None:
    """Check a mapper against its contract, ``copl_core.contracts.Mapper``.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("mapper", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Mapper, methods=("forward",))
        for source, target in WIDTHS:
            with report.setting(f"source {source}, target {target}"):
                check_trained(report, _trial(candidate, source, target))


def _trial(candidate: Candidate, source: int, target: int) -> Trial:
    def inputs(clips: int) -> list[Tensor]:
        return [random_tensor(CLIPS * FRAMES, length, source)[: clips * FRAMES] for length in LENGTHS]

    def run(mapper: Mapper, prompts: list[Tensor]) -> Outputs:
        return {f"output for {p.shape[1]} prompts": mapper(p) for p in prompts}

    return Trial(
        build=lambda: candidate.build(source=source, target=target),
        inputs=inputs,
        run=run,
        shapes={f"output for {length} prompts": (CLIPS * FRAMES, length, target) for length in LENGTHS},
    )
