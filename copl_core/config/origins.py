"""Where the values of a config come from: file and line, or the option of the command line."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from copl_core.config.values import join


@dataclass(frozen=True)
class Origin:
    """Where a value was written.

    Attributes:
        source: A file, or an option with its value.
        line: Counted from 1; None where there are no lines, or where only running a .py config tells.
    """

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


def nearest(found: Mapping[str, Any], path: str) -> Any:
    """Return the entry of a path or, where it has none, of the block that it lies in; None where there is none."""
    while path not in found:
        if not path:
            return None
        path = path.rpartition(".")[0]
    return found[path]


def paths(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in plain data with its path, blocks and lists before what they hold."""
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, each in items:
        yield join(path, key), each
        yield from paths(each, join(path, key))


def written_in(source: str, values: Any, lines: Mapping[str, int]) -> dict[str, Origin]:
    """The origins of all values of one file."""
    return {path: Origin(source, nearest(lines, path)) for path, _ in paths(values)}


def without(origins: Mapping[str, Origin], replaced: Sequence[str]) -> dict[str, Origin]:
    """The origins but for those of some blocks and of everything in them."""
    return {path: origin for path, origin in origins.items() if not any(_is_in(path, block) for block in replaced)}


def yaml_lines(node: yaml.Node | None, path: str = "") -> dict[str, int]:
    """Lines of the keys and list items of a YAML document, by path."""
    found: dict[str, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found[join(path, key.value)] = key.start_mark.line + 1
            found.update(yaml_lines(value, join(path, key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found[join(path, index)] = value.start_mark.line + 1
            found.update(yaml_lines(value, join(path, index)))
    return found


def python_lines(body: Sequence[ast.stmt]) -> dict[str, int]:
    """Lines of what the statements of a .py config assign, by path, as far as it is written out."""
    found: dict[str, int] = {}
    for statement in body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for path in filter(None, map(_target, targets)):
                # What was assigned before is gone.
                for earlier in [each for each in found if _is_in(each, path)]:
                    del found[earlier]
                found[path] = statement.lineno
                if not isinstance(statement, ast.AugAssign):
                    found.update(_value_lines(statement.value, path))
        elif not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            for name in ("body", "orelse", "finalbody"):
                found.update(python_lines(getattr(statement, name, [])))
    return found


def _value_lines(node: ast.expr | None, path: str) -> dict[str, int]:
    """Lines within a literal, ``dict(...)`` among them."""
    items: list[tuple[Any, int, ast.expr]] = []
    if isinstance(node, ast.Dict):
        pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True) if _is_text(key)]
        items = [(key.value, key.lineno, value) for key, value in pairs if isinstance(key, ast.Constant)]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        items = [(each.arg, each.lineno, each.value) for each in node.keywords if each.arg]
    elif isinstance(node, (ast.List, ast.Tuple)):
        items = [(index, each.lineno, each) for index, each in enumerate(node.elts)]
    found: dict[str, int] = {}
    for key, line, value in items:
        found[join(path, key)] = line
        found.update(_value_lines(value, join(path, key)))
    return found


def _target(node: ast.expr) -> str:
    """The path that is assigned to: ``a``, ``_base_.a.b``, ``a["b"]``; nothing for any other target."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner, key = _target(node.value), node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        owner, key = _target(node.value), str(node.slice.value)
    else:
        return ""
    return join(owner, key) if owner else ""


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_in(path: str, block: str) -> bool:
    return path == block or path.startswith(f"{block}.")
