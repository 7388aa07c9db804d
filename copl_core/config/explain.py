"""A resolved config for a person: where each value comes from, and how two configs differ."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from copl_core.config.load import Config
from copl_core.config.strict_yaml import StrictLoader, dump_inline, dump_yaml
from copl_core.config.values import join


def show_origins(config: Config) -> str:
    """Return a config as YAML, each value followed by a comment that says where it comes from."""
    text = dump_yaml(dict(config), width=math.inf)
    lines = text.splitlines()
    for path, line in _ends(yaml.compose(text, StrictLoader), ""):
        lines[line] += f"  # {config.origin(path)}"
    return "\n".join(lines) + "\n"


def differences(first: Config, second: Config) -> Iterator[str]:
    """Yield what differs, ``- path: value  # origin`` for the first config, ``+`` for the second."""
    old, new = dict(leaves(first)), dict(leaves(second))
    for path in dict.fromkeys([*old, *new]):
        for sign, config, values, others in (("-", first, old, new), ("+", second, new, old)):
            if path in values and (path not in others or dump_inline(values[path]) != dump_inline(others[path])):
                yield f"{sign} {path}: {dump_inline(values[path])}  # {config.origin(path)}"


def leaves(block: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is no block, or an empty one, each with its path."""
    for key, value in block.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, join(path, key))
        else:
            yield join(path, key), value


def _ends(node: Any, path: str) -> Iterator[tuple[str, int]]:
    """The lines, counted from 0, on which the values of a YAML document end, with their paths."""
    if isinstance(node, yaml.MappingNode) and node.value:
        for key, value in node.value:
            yield from _ends(value, join(path, key.value))
    elif isinstance(node, yaml.SequenceNode) and node.value:
        for index, value in enumerate(node.value):
            yield from _ends(value, join(path, index))
    elif path:
        yield path, node.end_mark.line
