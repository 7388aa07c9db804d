"""Whether two configs are of the same run."""

from collections.abc import Mapping
from typing import Any

from copl_core.config.explain import leaves
from copl_core.config.schema import FREE
from copl_core.config.values import join

_FREE = {join("schedule", key) for key in FREE}
_FREE_BLOCK = "loggers"


def other_settings(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Paths of the settings in which two configs differ so that they make two runs; empty if they make the same."""
    first, second = dict(leaves(saved)), dict(leaves(present))
    compared = (path for path in {*first, *second} - _FREE if path.partition(".")[0] != _FREE_BLOCK)
    return sorted(path for path in compared if first.get(path) != second.get(path))
