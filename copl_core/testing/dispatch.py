"""The check of any kind, by its name."""

from collections.abc import Callable, Mapping
from typing import Any

from copl_core.api import PluginError
from copl_core.plugins.suggest import did_you_mean
from copl_core.testing.backbone import check_backbone
from copl_core.testing.bank import check_bank
from copl_core.testing.dataset import check_dataset
from copl_core.testing.generator import check_generator
from copl_core.testing.head import check_head
from copl_core.testing.loss import check_loss
from copl_core.testing.mapper import check_mapper
from copl_core.testing.metric import check_metric
from copl_core.testing.prompt import check_prompt
from copl_core.testing.renderer import check_renderer
from copl_core.testing.subject import Subject
from copl_core.testing.task import check_task
from copl_core.testing.tuner import check_tuner

_CHECKS: Mapping[str, Callable[..., None]] = {
    "backbone": check_backbone,
    "tuner": check_tuner,
    "prompt": check_prompt,
    "bank": check_bank,
    "mapper": check_mapper,
    "loss": check_loss,
    "head": check_head,
    "dataset": check_dataset,
    "metric": check_metric,
    "renderer": check_renderer,
    "task": check_task,
    "generator": check_generator,
}


def check_component(kind: str, component: Subject, /, **arguments: Any) -> None:
    """Check a component of any kind: ``check_<kind>(component, **arguments)``.

    Args:
        kind: One of ``copl_core.api.KINDS``.
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        arguments: The component's own, and those of the kind's check (``samples`` of a head, and the like).

    Raises:
        ConformanceError: Lists the points that failed.
        PluginError: There is no such kind.
    """
    if kind not in _CHECKS:
        raise PluginError(f"unknown kind {kind!r}{did_you_mean(kind, _CHECKS)}; kinds: {', '.join(_CHECKS)}")
    _CHECKS[kind](component, **arguments)
