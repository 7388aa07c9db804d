"""The ``plugins`` block of a config: which plugins it does without."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from copl_core.config.values import ValueReader
from copl_core.plugins.suggest import did_you_mean

if TYPE_CHECKING:
    from copl_core.registry import Registry

_log = logging.getLogger("copl")


@dataclass(frozen=True)
class Plugins:
    """Which plugins a config does without.

    Attributes:
        disable: Ids of plugins whose components this config doesn't see, as if they were not installed.
    """

    disable: Sequence[str] = ()


def visible(block: Any, registry: "Registry", reader: ValueReader) -> "Registry":
    """Return a registry of the components that a config sees.

    Args:
        block: The config's ``plugins``.
        registry: All components.
        reader: Takes problems.
    """
    plugins = reader.read(block, Plugins, "plugins")
    if not plugins or not plugins.disable:
        return registry
    known = [status.name for status in registry.table.statuses]
    for name in plugins.disable:
        # No mistake where it isn't installed, which is what the config wants.
        if name not in known:
            _log.warning("plugins.disable: no plugin %r%s", name, did_you_mean(name, known))
    return registry.without(plugins.disable, "disabled by the config")
