"""Checks on what a plugin declares, all before anything of it is taken over."""

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution
from types import ModuleType
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import copl_core
from copl_core.api import API_VERSION, KINDS, ComponentSpec, ConfigRoot, PluginError
from copl_core.plugins.suggest import did_you_mean
from copl_core.plugins.table import FIRST_PARTY

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PACKAGE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_TARGET = re.compile(rf"{_PACKAGE}:[A-Za-z_]\w*")
_FOLDER = re.compile(r"[\w-]+(/[\w-]+)*")


class IncompatibleError(PluginError):
    """The plugin was made for another version of copl."""


def check_name(name: str, what: str) -> None:
    """Refuse a name that is not snake_case.

    Raises:
        PluginError: It isn't.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(f"{what} must be snake_case ([a-z][a-z0-9_]*), got {name!r}")


def check_version(module: ModuleType, distribution: Distribution | None) -> None:
    """Refuse a plugin made for another plugin API or another copl.

    Args:
        module: The plugin's entry module. Its ``copl_api_version`` is called directly: a plugin of a later API may
            well have hooks that this one can't register.
        distribution: The distribution it came with.

    Raises:
        IncompatibleError: It isn't made for this version.
        PluginError: It doesn't say so properly.
    """
    hook = getattr(module, "copl_api_version", None)
    span = hook() if callable(hook) else (1, 1)
    if not (isinstance(span, tuple) and len(span) == 2 and all(type(bound) is int for bound in span)):
        raise PluginError(f"copl_api_version must return (oldest, newest) as two integers, got {span!r}")
    oldest, newest = span
    if not oldest <= API_VERSION <= newest:
        wanted = str(oldest) if oldest == newest else f"{oldest} to {newest}"
        raise IncompatibleError(f"made for plugin API {wanted}, this copl has {API_VERSION}")
    for line in (distribution.requires if distribution else None) or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) != FIRST_PARTY:
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(copl_core.__version__, prereleases=True):
            raise IncompatibleError(f"needs copl{requirement.specifier}, this is {copl_core.__version__}")


def check_components(declared: Any) -> list[ComponentSpec]:
    """Return the declared components as a list.

    Raises:
        PluginError: Something about them is wrong.
    """
    specs = _typed(declared, ComponentSpec, "copl_components")
    for spec in specs:
        if spec.kind not in KINDS:
            hint = did_you_mean(str(spec.kind), KINDS) or f"; kinds: {', '.join(KINDS)}"
            raise PluginError(f"component {spec.name!r}: unknown kind {spec.kind!r}{hint}")
        check_name(spec.name, f"name of a {spec.kind}")
        if not isinstance(spec.target, str) or not _TARGET.fullmatch(spec.target):
            raise PluginError(f"{spec.kind} {spec.name!r}: target must be 'package.module:Class', got {spec.target!r}")
        if not isinstance(spec.summary, str):
            raise PluginError(f"{spec.kind} {spec.name!r}: summary must be a string, got {spec.summary!r}")
    _refuse_duplicates([f"{spec.kind} {spec.name!r}" for spec in specs])
    return specs


def check_configs(declared: Any) -> list[ConfigRoot]:
    """Return the declared config folders as a list.

    Raises:
        PluginError: Something about them is wrong.
    """
    roots = _typed(declared, ConfigRoot, "copl_configs")
    for root in roots:
        check_name(root.name, "name of a config folder")
        if not isinstance(root.package, str) or not re.fullmatch(_PACKAGE, root.package):
            raise PluginError(f"config folder {root.name!r}: package must be 'package.module', got {root.package!r}")
        if not isinstance(root.folder, str) or not _FOLDER.fullmatch(root.folder):
            raise PluginError(f"config folder {root.name!r}: folder must be a relative path, got {root.folder!r}")
    _refuse_duplicates([f"config folder {root.name!r}" for root in roots])
    return roots


def _typed(declared: Any, expected: type, hook: str) -> list[Any]:
    if isinstance(declared, (str, bytes)) or not isinstance(declared, Iterable):
        raise PluginError(f"{hook} must return a list of {expected.__name__}, got {type(declared).__name__}")
    items = list(declared)
    for item in items:
        if not isinstance(item, expected):
            raise PluginError(f"{hook} must return a list of {expected.__name__}, one item is {item!r}")
    return items


def _refuse_duplicates(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PluginError(f"declared twice: {', '.join(twice)}")
