"""A component's block as YAML, to paste into a config."""

import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from copl_core.config.signature import Signature
    from copl_core.plugins import Component
    from copl_core.registry import Registry


def example(component: "Component", registry: "Registry") -> str:
    """Return the block: what must be given, ``<...>`` standing for values, and every default."""
    from copl_core.config import dump_config
    from copl_core.config.signature import NOT_PLAIN

    lines = [f"type: {_name(component, registry)}"]
    for name, argument in registry.signature(component).settable.items():
        if argument.required:
            first, *rest = dump_config({name: _value(argument.annotation, component, registry)}).splitlines()
            lines += [f"{first}  # required: {describe_type(argument.annotation, registry)}", *rest]
        elif argument.default != NOT_PLAIN:
            lines.append(dump_config({name: argument.default}).rstrip())
    return "\n".join(lines)


def describe_type(annotation: Any, registry: "Registry | None" = None) -> str:
    """Name the type of an argument: of a component its kind and, given a registry, which there are."""
    import types

    from copl_core.config.values import MAPPINGS, describe
    from copl_core.registry import kind_of_factory

    kind, parts = kind_of_factory(annotation), typing.get_args(annotation)
    if kind:
        names = [_name(each, registry) for each in registry.table.components(kind)] if registry else []
        return f"block of a {kind}{': ' if names else ''}{', '.join(names)}"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(describe_type(part, registry) for part in parts)
    if typing.get_origin(annotation) in MAPPINGS and kind_of_factory(parts[1]):
        return f"under each name a {describe_type(parts[1], registry)}"
    return describe(annotation)


def _value(annotation: Any, wanted: "Component", registry: "Registry") -> Any:
    """A value for a required argument.

    Args:
        annotation: Of the argument.
        wanted: The component that the example is of; parts of its name or plugin are taken first.
        registry: The components.
    """
    from copl_core.config.signature import signature_of
    from copl_core.config.values import MAPPINGS, is_record
    from copl_core.registry import kind_of_factory

    kind, parts = kind_of_factory(annotation), typing.get_args(annotation)
    if kind:
        part = _part(kind, wanted, registry)
        return f"<{kind}>" if part is None else _block(part, wanted, registry)
    if typing.get_origin(annotation) in MAPPINGS and (kind := kind_of_factory(parts[1])):
        part = _part(kind, wanted, registry)
        return {} if part is None else {part.name: _block(part, wanted, registry)}
    if isinstance(annotation, type) and is_record(annotation):
        return _required(signature_of(annotation), wanted, registry)
    return f"<{describe_type(annotation)}>"


def _block(component: "Component", wanted: "Component", registry: "Registry") -> Mapping[str, Any]:
    return {"type": _name(component, registry), **_required(registry.signature(component), wanted, registry)}


def _required(signature: "Signature", wanted: "Component", registry: "Registry") -> dict[str, Any]:
    needed = {name: each for name, each in signature.settable.items() if each.required}
    return {name: _value(each.annotation, wanted, registry) for name, each in needed.items()}


def _part(kind: str, wanted: "Component", registry: "Registry") -> "Component | None":
    """The component of a kind that fits the wanted one best and needs the fewest arguments; None if there is none."""
    from copl_core.api import PluginError

    def rank(component: "Component") -> tuple[bool, bool, bool, int]:
        try:
            needed = sum(argument.required for argument in registry.signature(component).settable.values())
        except PluginError:  # its module is broken
            return True, True, True, 0
        return False, component.name != wanted.name, component.plugin != wanted.plugin, needed

    return min(registry.table.components(kind), key=rank, default=None)


def _name(component: "Component", registry: "Registry | None") -> str:
    """What a config calls it."""
    plain = registry is None or registry.table.naming(component) == "loaded"
    return component.name if plain else component.qualified
