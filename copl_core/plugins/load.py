"""One plugin: its entry module is imported, its hooks are called, and everything they return is checked."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import ModuleType

import pluggy

from copl_core.api import PROJECT, ComponentSpec, ConfigRoot, PluginError, hookspecs
from copl_core.plugins.suggest import did_you_mean, listing
from copl_core.plugins.validate import check_components, check_configs, check_name, check_version

#: Takes seconds to import; no entry module needs it.
HEAVY = "torch"


@dataclass(frozen=True)
class Declared:
    """What a plugin declares.

    Attributes:
        components: Its components.
        configs: Its config folders.
        heavy: Whether torch was imported for that.
    """

    components: Sequence[ComponentSpec]
    configs: Sequence[ConfigRoot]
    heavy: bool


def load_plugin(point: EntryPoint) -> Declared:
    """Ask a plugin what it provides.

    Args:
        point: Its entry point.

    Raises:
        PluginError: Something about it is wrong. The plugin's own code may raise anything.
    """
    check_name(point.name, "plugin id")
    light = HEAVY not in sys.modules
    # Standard output is for answers, JSON among them, that other programs read.
    with redirect_stdout(sys.stderr):
        module = point.load()
        if not isinstance(module, ModuleType):
            raise PluginError(f"the entry point must name a module, {point.value!r} is a {type(module).__name__}")
        check_version(module, point.dist)
        components, configs = _ask(module, point.name)
    return Declared(components, configs, light and HEAVY in sys.modules)


def _ask(module: ModuleType, plugin: str) -> tuple[list[ComponentSpec], list[ConfigRoot]]:
    """Call the hooks."""
    # A manager of its own keeps one plugin's hooks from the calls of all others, and leaves nothing to undo.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    _refuse_unknown_hooks(module, manager)
    manager.register(module, name=plugin)
    declared, configs = manager.hook.copl_components(), manager.hook.copl_configs()
    # A plugin may bring nothing but configs; a hook that is there and brings nothing is a mistake.
    there = hasattr(module, "copl_components")
    if not declared and (there or not configs):
        unmarked = "; mark it with @hookimpl" if there else ""
        raise PluginError(f"it has no copl_components hook that returns components{unmarked}")
    return check_components(declared[0]) if declared else [], check_configs(configs[0]) if configs else []


def _refuse_unknown_hooks(module: ModuleType, manager: pluggy.PluginManager) -> None:
    """Refuse a misspelt hook, which would otherwise never be called."""
    hooks = [name for name in vars(hookspecs) if manager.parse_hookspec_opts(hookspecs, name) is not None]
    for name in vars(module):
        options = manager.parse_hookimpl_opts(module, name)
        hook = options and (options.get("specname") or name)
        if hook and hook not in hooks:
            raise PluginError(f"unknown hook {hook!r}{did_you_mean(hook, hooks) or f'; hooks: {listing(hooks)}'}")
