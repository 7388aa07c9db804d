"""Discovery: entry points -> component table. One broken plugin never takes the others, or the program, with it.

A plugin is taken over whole or not at all, and the result doesn't depend on the order of installation. Three
environment variables act on discovery:

COPL_DISABLE_PLUGINS  ids, comma-separated: these are not even imported
COPL_LOAD_PLUGINS     ids: of third-party plugins only these are imported; empty: none
COPL_STRICT_PLUGINS   1: a broken plugin raises, with its traceback (for plugin authors and CI)
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import pluggy

from copl_core.api import GROUP, PROJECT, ComponentSpec, ConfigRoot, PluginError, hookspecs
from copl_core.plugins.suggest import did_you_mean
from copl_core.plugins.table import FIRST_PARTY, Component, ComponentTable, PackagedConfigs, PluginStatus, State
from copl_core.plugins.validate import (
    IncompatibleError,
    check_components,
    check_configs,
    check_name,
    check_version,
)

_log = logging.getLogger("copl")


@lru_cache(maxsize=1)
def get_table() -> ComponentTable:
    """Return the table of this process; plugins are discovered on the first call."""
    return discover()


def reset_table() -> None:
    """Forget the table, so that the next ``get_table`` discovers again."""
    get_table.cache_clear()


def discover(points: Iterable[EntryPoint] | None = None) -> ComponentTable:
    """Find, load and check all plugins.

    Every warning goes to the ``copl`` logger, one line each, and stays in the table's ``warnings``.

    Args:
        points: Entry points to consider; those of all installed distributions by default.

    Raises:
        PluginError: A plugin is broken and ``COPL_STRICT_PLUGINS=1``. An exception of the plugin itself is
            re-raised as it is.
    """
    found = sorted({_Found.of(point) for point in (entry_points(group=GROUP) if points is None else points)})
    gate = _Gate.from_environment()
    components: list[Component] = []
    configs: list[PackagedConfigs] = []
    statuses: list[PluginStatus] = []
    warnings = gate.unknown({plugin.name for plugin in found})
    for plugin in found:
        reason = gate.reason(plugin)
        if reason:
            statuses.append(PluginStatus(plugin.name, plugin.distribution, plugin.version, "disabled", reason))
            continue
        try:
            _refuse_taken(plugin, found)
            specs, roots = _load(plugin.point)
        # A module that calls sys.exit() is as broken as one that raises.
        except (Exception, SystemExit) as error:
            if gate.strict:
                _log.error("%s is broken", plugin)
                raise
            state: State = "incompatible" if isinstance(error, IncompatibleError) else "failed"
            line = _one_line(error)
            statuses.append(PluginStatus(plugin.name, plugin.distribution, plugin.version, state, line))
            warnings.append(f"{plugin} is not loaded: {line}")
            continue
        source = {"plugin": plugin.name, "distribution": plugin.distribution}
        for spec in specs:
            components.append(
                Component(spec.kind, spec.name, spec.target, spec.summary, version=plugin.version, **source)
            )
        configs += [PackagedConfigs(root.name, root.package, root.folder, **source) for root in roots]
        statuses.append(PluginStatus(plugin.name, plugin.distribution, plugin.version, "loaded"))
    table = ComponentTable(components, configs, statuses, warnings)
    for warning in table.warnings:
        _log.warning("%s", warning)
    return table


@dataclass(frozen=True, order=True)
class _Found:
    """An entry point, in loading order: first-party plugins, then by distribution and name."""

    third_party: bool
    distribution: str
    name: str
    version: str
    value: str
    point: EntryPoint = field(compare=False)

    @classmethod
    def of(cls, point: EntryPoint) -> "_Found":
        # Both are None where an uninstallation left half of the metadata behind.
        distribution = (point.dist and point.dist.name) or "unknown"
        version = (point.dist and point.dist.version) or "unknown"
        return cls(distribution != FIRST_PARTY, distribution, point.name, version, point.value, point)

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.distribution} {self.version})"


@dataclass(frozen=True)
class _Gate:
    """What the environment lets in."""

    disabled: frozenset[str]
    allowed: frozenset[str] | None
    strict: bool

    @classmethod
    def from_environment(cls) -> "_Gate":
        allowed = os.environ.get("COPL_LOAD_PLUGINS")
        return cls(
            disabled=_ids(os.environ.get("COPL_DISABLE_PLUGINS", "")),
            allowed=None if allowed is None else _ids(allowed),
            strict=os.environ.get("COPL_STRICT_PLUGINS", "0") not in ("", "0"),
        )

    def reason(self, plugin: _Found) -> str:
        """Why the plugin is kept out; empty if it is let in."""
        if plugin.name in self.disabled:
            return "disabled by COPL_DISABLE_PLUGINS"
        if self.allowed is not None and plugin.third_party and plugin.name not in self.allowed:
            return "not named in COPL_LOAD_PLUGINS"
        return ""

    def unknown(self, names: set[str]) -> list[str]:
        """One line for each id in the environment that no plugin has."""
        lines = []
        for variable, ids in (("COPL_DISABLE_PLUGINS", self.disabled), ("COPL_LOAD_PLUGINS", self.allowed or ())):
            lines += [f"{variable}: no plugin {name!r}{did_you_mean(name, names)}" for name in sorted(set(ids) - names)]
        return lines


def _ids(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _refuse_taken(plugin: _Found, found: Sequence[_Found]) -> None:
    """Refuse an id that another plugin has too. A first-party id stays ours; otherwise both are refused."""
    rivals = [other for other in found if other.name == plugin.name and other != plugin]
    if not plugin.third_party:
        rivals = [other for other in rivals if not other.third_party]
    if rivals:
        others = " and ".join(f"{rival.distribution} {rival.version}" for rival in rivals)
        raise PluginError(f"plugin id {plugin.name!r} is also that of {others}; uninstall one")


def _load(point: EntryPoint) -> tuple[list[ComponentSpec], list[ConfigRoot]]:
    """Import a plugin's entry module, call its hooks and check everything they return."""
    check_name(point.name, "plugin id")
    module = point.load()
    if not isinstance(module, ModuleType):
        raise PluginError(f"the entry point must name a module, {point.value!r} is a {type(module).__name__}")
    check_version(module, point.dist)
    # A manager of its own keeps one plugin's hooks from the calls of all others, and leaves nothing to undo.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=point.name)
    manager.check_pending()
    declared = manager.hook.copl_components()
    if not declared:
        raise PluginError("it has no copl_components hook that returns components")
    configs = manager.hook.copl_configs()
    return check_components(declared[0]), check_configs(configs[0]) if configs else []


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, PluginError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
