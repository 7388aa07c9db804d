"""Whether what trained prompts are made of is installed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from copl_core.api import PluginError
from copl_core.checkpoint.header import Header
from copl_core.plugins import ComponentTable

#: Parts of a task that compute nothing of the model; another data set or metric will do.
_REPLACEABLE = ("task.dataset", "task.metric", "task.renderer")


def check_providers(path: Path, header: Header, table: ComponentTable) -> None:
    """Refuse prompts whose model consists of components that no loaded plugin provides.

    Args:
        path: Where they were read, for the message.
        header: What they say about themselves.
        table: What is installed.

    Raises:
        PluginError: Names each missing component, its place in the config, and the distribution to install.
    """
    check_components(path, header.components, table)


def check_components(
    path: Path, components: Mapping[str, Mapping[str, Any]], table: ComponentTable, *, whole: bool = False
) -> None:
    """Refuse something trained with components that no loaded plugin provides.

    Args:
        path: The file or folder, for the message.
        components: Their providers, by their place in the config: kind, name, plugin, distribution and version; the
            plugin may be part of the name.
        table: What is installed.
        whole: Ask for the data set, metric and renderer, too.

    Raises:
        PluginError: See ``check_providers``.
    """
    missing = dict(_missing(components, table, whole))
    if missing:
        lines = [f"{_describe(component, table)}, at {_text(place)}" for place, component in missing.items()]
        raise PluginError("\n  ".join([f"{path} was trained with components that are not here:", *lines]))


def _missing(
    components: Mapping[str, Mapping[str, Any]], table: ComponentTable, whole: bool
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    known = {(component.kind, component.qualified) for component in table.components()}
    for place, component in sorted(components.items()):
        needed = whole or not place.startswith(_REPLACEABLE)
        if needed and (component.get("kind"), ".".join(map(str, _names(component)))) not in known:
            yield place, component


def _names(component: Mapping[str, Any]) -> tuple[Any, Any]:
    """Plugin and bare name of a recorded component."""
    if "plugin" in component:
        return component["plugin"], component.get("name")
    plugin, _, name = str(component.get("name")).rpartition(".")
    return plugin, name


def _describe(component: Mapping[str, Any], table: ComponentTable) -> str:
    """The component, its distribution, and what to do about that."""
    kind, distribution, version = (_text(component.get(key)) for key in ("kind", "distribution", "version"))
    plugin, name = map(_text, _names(component))
    what = f"{kind} {name!r} (plugin {plugin}) of {distribution} {version}"
    for status in table.statuses:
        if status.name != plugin:
            continue
        if status.state != "loaded":
            return f"{what}, which is {status.state}: {status.error}"
        return f"{what}; the installed {status.distribution} {status.version} has none: install that version"
    return f"{what}: install {distribution}"


def _text(value: Any) -> str:
    """What the file says, unless it would steer the terminal: the file may come from anyone."""
    return str(value) if str(value).isprintable() else repr(value)
