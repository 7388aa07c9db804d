"""The conformance kit: prove a component against the contract of its kind, in one line.

One function a kind, and ``check_component`` for any kind:

    from copl_core.testing import check_mapper

    def test_gated_mapper_keeps_the_contract():
        check_mapper(GatedMapper, start=-2.0)

The first argument is the class, ``functools.partial`` of it, or the name of an installed component as a config writes
it (``"gated"``, ``"copl_gated.gated"``). The component's own arguments follow by keyword: of a class as its constructor
takes them, of a name as a config writes them (nested parts as blocks with ``type``). What the framework sets
(``layout``, ``width``, ``source``, ...) the kit sets.

A check runs every point of its kind and raises one ``ConformanceError`` that lists all the points that failed: what was
expected, what came, what to do. Nothing here needs pytest. docs/conformance.md lists the points.
"""

from copl_core.testing.backbone import check_backbone
from copl_core.testing.bank import check_bank
from copl_core.testing.dataset import check_dataset
from copl_core.testing.dispatch import check_component
from copl_core.testing.generator import check_generator
from copl_core.testing.head import check_head
from copl_core.testing.loss import check_loss
from copl_core.testing.mapper import check_mapper
from copl_core.testing.metric import check_metric
from copl_core.testing.prompt import check_prompt
from copl_core.testing.renderer import check_renderer
from copl_core.testing.report import ConformanceError
from copl_core.testing.task import check_task
from copl_core.testing.tuner import check_tuner

__all__ = [
    "ConformanceError",
    "check_backbone",
    "check_bank",
    "check_component",
    "check_dataset",
    "check_generator",
    "check_head",
    "check_loss",
    "check_mapper",
    "check_metric",
    "check_prompt",
    "check_renderer",
    "check_task",
    "check_tuner",
]
