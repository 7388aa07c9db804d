"""The component table: what all loaded plugins provide, by kind and name."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from copl_core.api import KINDS, PluginError
from copl_core.plugins.suggest import close_match, did_you_mean, listing

#: The distribution whose plugins win a bare name.
FIRST_PARTY = "copl"

State = Literal["loaded", "disabled", "failed", "incompatible"]
#: So many names are listed where none resembles the one that was asked for.
_LISTED = 20

#: What a component's bare name means: it, the first-party one of that name, or nothing, since several have it.
Naming = Literal["loaded", "shadowed", "ambiguous"]


@dataclass(frozen=True)
class PluginStatus:
    """What became of one plugin.

    Attributes:
        name: Plugin id, the name of its entry point.
        distribution: Installed distribution that brought it.
        version: Version of that distribution.
        state: ``loaded``; ``disabled`` by the environment; ``failed``; ``incompatible`` with this plugin API.
        error: Why it is not loaded, one line; empty if it is.
    """

    name: str
    distribution: str
    version: str
    state: State
    error: str = ""


@dataclass(frozen=True)
class Component:
    """One component and where it comes from.

    Attributes:
        kind: One of ``copl_core.api.KINDS``.
        name: Bare name.
        target: ``"package.module:Class"``.
        summary: One line for listings.
        plugin: Id of the plugin.
        distribution: Installed distribution of the plugin.
        version: Version of that distribution.
    """

    kind: str
    name: str
    target: str
    summary: str
    plugin: str
    distribution: str
    version: str

    @property
    def qualified(self) -> str:
        """``<plugin>.<name>``, which is never ambiguous."""
        return f"{self.plugin}.{self.name}"

    @property
    def lasting(self) -> str:
        """The name to keep in files: no later installation gives it to another one.

        It is the bare one of a first-party component, which always wins it, and else ``qualified``.
        """
        return self.name if self.distribution == FIRST_PARTY else self.qualified


@dataclass(frozen=True)
class PackagedConfigs:
    """A config folder inside a plugin's package, see ``copl_core.api.ConfigRoot``."""

    name: str
    package: str
    folder: str
    plugin: str
    distribution: str

    @property
    def qualified(self) -> str:
        """``<plugin>.<name>``, which is never ambiguous."""
        return f"{self.plugin}.{self.name}"

    def path(self) -> Path | None:
        """Where the folder lies, None if the package isn't there; the package is not imported for it."""
        try:
            spec = find_spec(self.package)
        except ImportError:
            return None
        places = spec.submodule_search_locations if spec else None
        return Path(next(iter(places))) / self.folder if places else None


class _Provided(Protocol):
    """What the naming rules need to know of a component or a config folder."""

    @property
    def name(self) -> str: ...
    @property
    def plugin(self) -> str: ...
    @property
    def distribution(self) -> str: ...
    @property
    def qualified(self) -> str: ...


_Item = TypeVar("_Item", bound=_Provided)


class ComponentTable:
    """Everything the loaded plugins provide.

    A bare name is looked up over all plugins: the first-party one wins, two third parties are ambiguous. A qualified
    name ``<plugin>.<name>`` names one plugin's component whatever else is installed.

    Args:
        components: Components of the loaded plugins.
        configs: Config folders of the loaded plugins.
        statuses: One entry for every plugin found, loaded or not.
        warnings: One line for everything a person should know, see ``discover``.
    """

    def __init__(
        self,
        components: Iterable[Component] = (),
        configs: Iterable[PackagedConfigs] = (),
        statuses: Iterable[PluginStatus] = (),
        warnings: Iterable[str] = (),
    ) -> None:
        self._components = tuple(components)
        self._configs = tuple(configs)
        self.statuses = tuple(statuses)
        self.warnings = (*warnings, *self._shadowed())

    def components(self, kind: str | None = None) -> tuple[Component, ...]:
        """Return all components, or those of one kind, sorted by kind, name and plugin."""
        found = (component for component in self._components if kind is None or component.kind == kind)
        return tuple(
            sorted(found, key=lambda component: (KINDS.index(component.kind), component.name, component.plugin))
        )

    def configs(self) -> tuple[PackagedConfigs, ...]:
        """Return all config folders, sorted by name and plugin."""
        return tuple(sorted(self._configs, key=lambda folder: (folder.name, folder.plugin)))

    def without(self, plugins: Collection[str], reason: str) -> "ComponentTable":
        """Return the table as if some plugins were not loaded, for the reason given."""
        return ComponentTable(
            [each for each in self._components if each.plugin not in plugins],
            [each for each in self._configs if each.plugin not in plugins],
            [
                replace(status, state="disabled", error=reason)
                if status.name in plugins and status.state == "loaded"
                else status
                for status in self.statuses
            ],
        )

    def find(self, kind: str, name: str) -> Component:
        """Look up a component by its bare or qualified name.

        Raises:
            PluginError: There is no such component, or a bare name is ambiguous.
        """
        if kind not in KINDS:
            raise PluginError(f"unknown kind {kind!r}{did_you_mean(kind, KINDS)}; kinds: {', '.join(KINDS)}")
        return self._look_up(name, self.components(kind), kind)

    def named(self, name: str) -> tuple[Component, ...]:
        """Return the components of a bare or qualified name, of whatever kind and plugin.

        Raises:
            PluginError: There is none.
        """
        found = tuple(each for each in self.components() if name in (each.name, each.qualified))
        if not found:
            plugin, _, bare = name.rpartition(".")
            raise PluginError(self._unknown(name, plugin, bare, self.components(), "component"))
        return found

    def naming(self, component: Component) -> Naming:
        """Whether the bare name of a component means it; one whose doesn't is written ``<plugin>.<name>``."""
        return _naming(component, self.components(component.kind))

    def naming_of_configs(self, folder: PackagedConfigs) -> Naming:
        """The same of a config folder."""
        return _naming(folder, self._configs)

    def find_configs(self, name: str) -> PackagedConfigs:
        """Look up a packaged config folder by its bare or qualified name.

        Raises:
            PluginError: There is no such folder, or a bare name is ambiguous.
        """
        return self._look_up(name, self._configs, "packaged configs")

    def _look_up(self, name: str, items: Sequence[_Item], what: str) -> _Item:
        plugin, dot, bare = name.rpartition(".")
        found = [item for item in items if item.name == bare and (not dot or item.plugin == plugin)]
        if not found:
            raise PluginError(self._unknown(name, plugin, bare, items, what))
        chosen = _choose(found)
        if chosen is None:
            options = " or ".join(repr(item.qualified) for item in found)
            raise PluginError(f"{what} {name!r} is provided by more than one plugin: write {options}")
        return chosen

    def _unknown(self, name: str, plugin: str, bare: str, items: Sequence[_Item], what: str) -> str:
        states = {status.name: status for status in self.statuses}
        if plugin and plugin not in states:
            hint = did_you_mean(plugin, states) or f"; installed: {listing(states)}."
            return f"no {what} {name!r}: unknown plugin {plugin!r}{hint}"
        if plugin and states[plugin].state != "loaded":
            return f"no {what} {name!r}: plugin {plugin!r} is not loaded ({states[plugin].error})."
        parts = [f"no {what} named {name!r}."]
        known = {item.qualified if plugin else item.name: item for item in items}
        match = close_match(name, known)
        others = sorted({component.kind for component in self._components if component.name == bare} - {what})
        if match:
            parts.append(f"Did you mean {match!r} (from {known[match].plugin})?")
        if others:
            parts.append(f"{bare!r} exists as a {' and a '.join(others)}.")
        if not match and not others:
            few = len(known) <= _LISTED
            parts.append(f"Known: {listing(known)}." if few else "`copl plugins list` names them all.")
        missing = [f"{status.name} ({status.error})" for status in self.statuses if status.state != "loaded"]
        if missing:
            parts.append(f"Plugins not loaded: {', '.join(missing)}.")
        return " ".join(parts)

    def _shadowed(self) -> list[str]:
        """One line for each third-party name that a first-party one hides."""
        groups: list[tuple[str, Sequence[_Provided]]] = [(kind, self.components(kind)) for kind in KINDS]
        groups.append(("packaged configs", self._configs))
        lines = []
        for what, items in groups:
            winners = {item.name: item for item in items if item.distribution == FIRST_PARTY}
            lines += [
                f"{what} {item.name!r} means the one of plugin {winners[item.name].plugin!r}; "
                f"that of {item.plugin!r} is {item.qualified!r}"
                for item in items
                if item.distribution != FIRST_PARTY and item.name in winners
            ]
        return lines


def _naming(item: _Item, items: Iterable[_Item]) -> Naming:
    chosen = _choose([each for each in items if each.name == item.name])
    if chosen is None:
        return "ambiguous"
    return "loaded" if chosen == item else "shadowed"


def _choose(found: Sequence[_Item]) -> _Item | None:
    """The one item that a name means: the only one, or the only first-party one."""
    if len(found) == 1:
        return found[0]
    ours = [item for item in found if item.distribution == FIRST_PARTY]
    return ours[0] if len(ours) == 1 else None
