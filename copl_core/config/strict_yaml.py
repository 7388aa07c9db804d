"""YAML as plain data: what a person would expect of it, nothing that runs, no silent surprise.

YAML 1.2 scalars (``1e-3`` is a number, ``no`` and ``on`` are strings); tags, anchors, duplicate keys, keys that are not
strings and numbers like ``012`` are refused, with file and line.
"""

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from copl_core.api import ConfigError
from copl_core.config.origins import yaml_lines

_TAG = "tag:yaml.org,2002:"
_AMBIGUOUS = f"{_TAG}ambiguous"


def _resolvers() -> dict[str | None, list[tuple[str, re.Pattern[str]]]]:
    """How a plain scalar gets its type, by its first character: the core schema of YAML 1.2, less octal and hex."""
    rules = [
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("ambiguous", r"[-+]?0[0-9xobXOB_][0-9a-fA-F_]*", list("-+0")),
        ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
        ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ]
    table: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, firsts in rules:
        for first in firsts:
            table.setdefault(first, []).append((_TAG + tag, re.compile(f"(?:{pattern})\\Z")))
    return table


class StrictLoader(yaml.SafeLoader):
    """Reads plain data and refuses everything else; raises ``yaml.YAMLError``."""

    yaml_implicit_resolvers = _resolvers()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse anchors, aliases and tags: an alias can make a config that never ends, a tag is not data."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _error(event, "anchors (&) and aliases (*) are not supported; use _base_ files, or a .py config")
        tag = getattr(event, "tag", None)
        if tag:
            raise _error(event, f"tag {str(tag).replace(_TAG, '!!')!r} is not allowed: a YAML config holds plain data")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse keys that are not strings, or that come twice."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error(key, "a key must be a string; templates like '{{_base_.x}}' need a .py config")
            if key.tag != f"{_TAG}str":
                raise _error(key, f"a key must be a string: write '{key.value}' in quotes")
            if key.value in lines:
                raise _error(key, f"duplicate key {key.value!r} (first on line {lines[key.value]})")
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)


def _refuse_ambiguous(_: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    raise _error(node, f"ambiguous number {node.value}: write a decimal without leading zero, or a string in quotes")


def _construct_int(_: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    try:
        return int(node.value)
    except ValueError:  # Python converts some thousand digits at most
        raise _error(node, f"a number of {len(node.value)} digits is too long") from None


StrictLoader.add_constructor(_AMBIGUOUS, _refuse_ambiguous)
StrictLoader.add_constructor(f"{_TAG}int", _construct_int)


class StrictDumper(yaml.SafeDumper):
    """Writes text that ``StrictLoader`` reads back equal: it quotes what that one would not read as a string."""

    yaml_implicit_resolvers = _resolvers()

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value that occurs twice two times."""
        return True


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file; an empty one is ``{}``.

    Raises:
        ConfigError: It can't be read or isn't strict YAML with a mapping at the top; begins with ``file:line``.
    """
    return parse_mapping(_read_text(path), str(path))


def read_yaml_lines(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Read one YAML file, see ``read_yaml``, and the lines of its keys and list items by path."""
    text = _read_text(path)
    return parse_mapping(text, str(path)), yaml_lines(yaml.compose(text, StrictLoader))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def parse_mapping(text: str, source: str) -> dict[str, Any]:
    """Parse YAML text with a mapping at the top.

    Args:
        text: The text; nothing but blanks and comments means ``{}``.
        source: What to call it in messages.

    Raises:
        ConfigError: It isn't strict YAML; begins with ``source:line``.
    """
    value = parse_value(text, source)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{source}:1: expected keys and values at the top, got {type(value).__name__}")
    return value


def parse_value(text: str, source: str, *, lines: bool = True) -> Any:
    """Parse YAML text with anything at the top.

    Args:
        text: The text.
        source: What to call it in messages.
        lines: Whether messages begin with ``source:line`` or, for a text that is no file, with ``source`` alone.

    Raises:
        ConfigError: It isn't strict YAML.
    """
    try:
        return yaml.load(text, StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1 if mark else 1}" if lines else ""
        raise ConfigError(f"{source}{place}: {_explain(error)}") from error
    except yaml.reader.ReaderError as error:
        place = f":{text.count(chr(10), 0, error.position) + 1}" if lines else ""
        raise ConfigError(f"{source}{place}: character {error.character!r} is not allowed in YAML") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: nested too deeply") from error


def dump_yaml(value: Any, *, width: float = 120) -> str:
    """Return plain data as YAML text, keys in the order given; ``parse_value`` reads it back equal."""
    text: str = yaml.dump(value, Dumper=StrictDumper, sort_keys=False, allow_unicode=True, width=width)
    return text


def dump_inline(value: Any) -> str:
    """Return plain data as YAML on one line."""
    text: str = yaml.dump(value, Dumper=StrictDumper, sort_keys=False, allow_unicode=True, width=math.inf,
                          default_flow_style=True)  # fmt: skip
    return text.removesuffix("\n...\n").strip()


def _error(at: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, at.start_mark)


def _explain(error: yaml.MarkedYAMLError) -> str:
    if error.problem and "'\\t'" in error.problem:
        return "tabs are not allowed for indentation: use spaces"
    return ", ".join(part for part in (error.context, error.problem) if part)
