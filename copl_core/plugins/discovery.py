"""Discovery: entry points -> component table. One broken plugin never takes the others, or the program, with it.

A plugin is taken over whole or not at all, and the result doesn't depend on the order of installation. The environment
may keep plugins out, see ``copl_core.plugins.gate``.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint

from copl_core.api import PluginError
from copl_core.plugins.gate import Gate
from copl_core.plugins.installed import installed_points, name_and_version
from copl_core.plugins.load import HEAVY, load_plugin
from copl_core.plugins.table import FIRST_PARTY, Component, ComponentTable, PackagedConfigs, PluginStatus, State
from copl_core.plugins.validate import IncompatibleError

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
        RuntimeError: The same, for a plugin that ends the program.
    """
    gate = Gate.from_environment()
    points, warnings = installed_points() if points is None else (points, [])
    found = sorted({_Found.of(point) for point in points})
    components: list[Component] = []
    configs: list[PackagedConfigs] = []
    statuses: list[PluginStatus] = []
    warnings += gate.unknown({plugin.name for plugin in found})
    for plugin in found:
        reason = gate.reason(plugin.name, third_party=plugin.third_party)
        if reason:
            statuses.append(plugin.status("disabled", reason))
            continue
        try:
            _refuse_taken(plugin, found)
            declared = load_plugin(plugin.point)
        # A module that calls sys.exit() is as broken as one that raises.
        except (Exception, SystemExit) as error:
            line = _one_line(error)
            if gate.strict:
                _log.error("%s is broken", plugin)
                # As it is, it would end the program, after sys.exit(0) as if all were well.
                if isinstance(error, SystemExit):
                    raise RuntimeError(f"{plugin} ends the program: {line}") from error
                raise
            state: State = "incompatible" if isinstance(error, IncompatibleError) else "failed"
            statuses.append(plugin.status(state, line))
            warnings.append(f"{plugin} is not loaded: {line}")
            continue
        if declared.heavy:
            warnings.append(
                f"{plugin} imports {HEAVY} in its entry module, which makes every command slow: "
                "name classes as strings there, and import it where they are"
            )
        source = {"plugin": plugin.name, "distribution": plugin.distribution}
        for spec in declared.components:
            components.append(
                Component(spec.kind, spec.name, spec.target, spec.summary, version=plugin.version, **source)
            )
        configs += [PackagedConfigs(root.name, root.package, root.folder, **source) for root in declared.configs]
        statuses.append(plugin.status("loaded"))
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
        distribution, version = name_and_version(point.dist)
        return cls(distribution != FIRST_PARTY, distribution, point.name, version, point.value, point)

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.distribution} {self.version})"

    def status(self, state: State, error: str = "") -> PluginStatus:
        """What became of it."""
        return PluginStatus(self.name, self.distribution, self.version, state, error)


def _refuse_taken(plugin: _Found, found: Sequence[_Found]) -> None:
    """Refuse an id that another plugin has too. A first-party id stays ours; otherwise both are refused."""
    rivals = [other for other in found if other.name == plugin.name and other != plugin]
    if not plugin.third_party:
        rivals = [other for other in rivals if not other.third_party]
    if rivals:
        others = " and ".join(f"{rival.distribution} {rival.version}" for rival in rivals)
        raise PluginError(f"plugin id {plugin.name!r} is also that of {others}; uninstall one")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, PluginError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
