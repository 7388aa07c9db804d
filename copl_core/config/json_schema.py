"""JSON Schema of everything that a config file may hold, for editors: completion, documentation, first checks.

A file may hold any part of a config, the rest coming from its bases or from files based on it. So nothing is required
here, and a block without ``type`` may hold what any component of its kind takes. ``copl config check`` says the rest.
"""

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from copl_core.api import KINDS, PluginError
from copl_core.config.compose import BASE, DELETE
from copl_core.config.loggers import Loggers
from copl_core.config.plugins import Plugins
from copl_core.config.schema import ABOVE, AT_LEAST, BELOW, MAX_SEED, SHARED, Compute, Protocol, Schedule
from copl_core.config.signature import NOT_PLAIN, Argument, Signature, Unresolved, signature_of
from copl_core.config.values import MAPPINGS, SEQUENCES, bare, is_record
from copl_core.registry import Registry, kind_of_factory

Schema = dict[str, Any]

_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", types.NoneType: "null"}
_FILE = {"type": "string", "not": {"pattern": r"\.py$"}}
_BASE = {
    "description": "YAML files that this one is based on, relative to it, or `<name>::<file>` from a plugin.",
    "anyOf": [_FILE, {"type": "array", "items": _FILE}],
}
#: A component that can't be read or spelt out.
_OPEN: Schema = {"type": "object"}
_DELETE = {"type": "boolean", "description": "Replace this block of the base instead of merging."}


def config_schema(registry: Registry) -> Schema:
    """Return the JSON Schema (2020-12) of config files, of all installed components.

    Args:
        registry: Components of plugins that can't be read are left open.
    """
    encoders = {
        "visual": {"$ref": "#/$defs/backbone"},
        "audio": {"anyOf": [{"const": SHARED}, {"$ref": "#/$defs/backbone"}]},
    }
    properties = {
        BASE: _BASE,
        "encoders": _closed({**encoders, DELETE: _DELETE}),
        "tuner": {"$ref": "#/$defs/tuner"},
        "task": {"$ref": "#/$defs/task"},
        "schedule": _with_bounds(_record(signature_of(Schedule))),
        "compute": _record(signature_of(Compute)),
        "loggers": _record(signature_of(Loggers)),
        "plugins": _record(signature_of(Plugins)),
        "seed": {"type": "integer", "minimum": 0, "maximum": MAX_SEED, "default": 0},
        "protocol": {**_annotated(Protocol), "default": "standard"},
    }
    definitions: Schema = {}
    for kind in KINDS:
        definitions.update(_kind(kind, registry))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "CoPL config",
        **_closed(properties),
        "$defs": definitions,
    }


def component_schema(signature: Signature) -> Schema:
    """Return the schema of a component's block, less its ``type``."""
    properties = {name: _argument(argument) for name, argument in signature.settable.items()}
    return {"description": signature.doc, **_closed({"type": {}, **properties, DELETE: _DELETE})}


def _kind(kind: str, registry: Registry) -> Schema:
    """The definitions of a kind: one of each component, and one that tells them apart by ``type``."""
    names: dict[str, list[str]] = {}
    definitions: Schema = {}
    anything: dict[str, list[Schema]] = {}
    for component in registry.table.components(kind):
        try:
            schema = component_schema(registry.signature(component))
        # A record may hold itself.
        except (PluginError, RecursionError):
            schema = _OPEN
        definitions[f"{kind}.{component.qualified}"] = schema
        bare_name = [component.name] if registry.table.naming(component) == "loaded" else []
        names[component.qualified] = [component.qualified, *bare_name]
        for name, argument in schema.get("properties", {}).items():
            if argument not in anything.setdefault(name, []):
                anything[name].append(argument)
    known = [name for each in names.values() for name in each]
    choices: list[Schema] = [
        {"if": _has_type({"enum": each}), "then": {"$ref": f"#/$defs/{kind}.{qualified}"}}
        for qualified, each in names.items()
    ]
    any_block: Schema = {"properties": {name: _any_of(each) for name, each in anything.items()}}
    if _OPEN not in definitions.values():
        any_block["propertyNames"] = {"enum": [*anything]}
    otherwise = {"if": {"required": ["type"]}, "else": any_block}
    definitions[kind] = {
        "type": "object",
        "properties": {"type": {"enum": sorted(known), "description": f"Name of the {kind}."}},
        "allOf": [*choices, otherwise],
    }
    return definitions


def _argument(argument: Argument) -> Schema:
    schema = dict(_annotated(argument.annotation))
    if argument.doc:
        schema["description"] = argument.doc
    if not argument.required and argument.default != NOT_PLAIN:
        schema["default"] = argument.default
    return schema


def _annotated(annotation: Any) -> Schema:
    """The schema of the values that ``ValueReader`` accepts for an annotation."""
    annotation = bare(annotation)
    origin = typing.get_origin(annotation)
    items = typing.get_args(annotation)
    container = origin or annotation
    kind = kind_of_factory(annotation)
    if kind:
        return {"$ref": f"#/$defs/{kind}"}
    if annotation in (Any, object, None) or isinstance(annotation, (TypeVar, Unresolved)):
        return {"type": "null"} if annotation is None else {}
    if origin in (Union, types.UnionType):
        return _any_of([_annotated(item) for item in items])
    if origin is Literal:
        return {"enum": list(items)}
    if annotation in _PLAIN:
        return {"type": _PLAIN[annotation]}
    if container in (list, tuple, *SEQUENCES):
        return _sequence(container, items)
    if container in MAPPINGS:
        return {
            "type": "object",
            "properties": {DELETE: _DELETE},
            "additionalProperties": _item(items[1]) if items else {},
        }
    if isinstance(annotation, type) and is_record(annotation):
        return _record(signature_of(annotation))
    return {"not": {}}


def _sequence(container: Any, items: tuple[Any, ...]) -> Schema:
    if container is tuple and items and items[-1] is not Ellipsis:
        each = [_annotated(item) for item in items]
        return {"type": "array", "prefixItems": each, "minItems": len(each), "maxItems": len(each)}
    return {"type": "array", "items": _annotated(items[0]) if items else {}}


def _item(annotation: Any) -> Schema:
    """The value of a mapping; a named component may be null, which removes it."""
    schema = _annotated(annotation)
    return _any_of([schema, {"type": "null"}]) if kind_of_factory(annotation) else schema


def _record(signature: Signature) -> Schema:
    return _closed({**{name: _argument(each) for name, each in signature.arguments.items()}, DELETE: _DELETE})


def _with_bounds(schema: Schema) -> Schema:
    for word, bounds in (("minimum", AT_LEAST), ("exclusiveMinimum", ABOVE), ("exclusiveMaximum", BELOW)):
        for name, bound in bounds.items():
            schema["properties"][name][word] = bound
    return schema


def _closed(properties: Mapping[str, Any]) -> Schema:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _has_type(schema: Schema) -> Schema:
    return {"properties": {"type": schema}, "required": ["type"]}


def _any_of(options: list[Schema]) -> Schema:
    return options[0] if len(options) == 1 else {"anyOf": options}
