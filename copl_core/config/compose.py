"""One config out of a file and the files it is based on.

The rules are those of MMEngine's ``Config`` for text configs (``lazy_import=False``): ``_base_`` names one file or
several, the bases' keys are merged first, then the file's own keys over them, block by block; ``_delete_: true`` in a
block replaces it instead. In a ``.py`` file the merged bases are at hand as ``_base_``. Beyond MMEngine: two bases may
set the same key to the same value, a block may be set again after a base removed it (null), and names of a ``.py``
file that begin with an underscore stay out of the config; and a YAML file has no ``.py`` base, for it would run one.
Every value's origin is kept beside it.
"""

import ast
import difflib
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from copl_core.api import ConfigError, PluginError
from copl_core.config.origins import Origin, nearest, paths, python_lines, without, written_in
from copl_core.config.strict_yaml import read_yaml_lines
from copl_core.config.values import Problem, join, show
from copl_core.plugins import ComponentTable, get_table

BASE = "_base_"
DELETE = "_delete_"
_YAML = (".yaml", ".yml")
_SUFFIXES = (".py", *_YAML)
#: Path of a value -> file and line.
At: TypeAlias = Callable[[str], str]


@dataclass(frozen=True)
class Layer:
    """The values of a file, or of several merged, and where each comes from.

    Attributes:
        values: Plain data: dicts, lists, strings, numbers, booleans, None.
        origins: By path, blocks included.
        problems: Where files contradict each other; the values are those of the one that comes later.
    """

    values: dict[str, Any]
    origins: dict[str, Origin]
    problems: tuple[Problem, ...] = ()


def compose(path: Path, table: ComponentTable | None = None, chain: tuple[Path, ...] = ()) -> Layer:
    """Read a config file and all its bases.

    Args:
        path: The file.
        table: Where ``<name>::<file>`` is looked up; the table of this process by default.
        chain: The files that led here.

    Raises:
        ConfigError: A file is missing, unreadable, or based on itself; of several bases, all these are told.
    """
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"{path}: a config is a .py or .yaml file")
    if any(path.resolve() == earlier.resolve() for earlier in chain):
        circle = " -> ".join(map(str, (*chain, path)))
        raise ConfigError(f"{chain[0]}: {BASE} runs in a circle: {circle}")
    if not path.is_file():
        raise ConfigError(f"{path}: no such config file; {_nearby(path)}")
    chain = (*chain, path)
    if path.suffix in _YAML:
        own, lines = read_yaml_lines(path)
        at = _places(path, lines)
        base = _compose_bases(own.pop(BASE, []), path, table, chain, at)
    else:
        tree = _parse_python(path)
        lines = python_lines(tree.body)
        at = _places(path, lines)
        base = _compose_bases(_python_bases(tree, path), path, table, chain, at)
        own, left = _run_python(tree, path, base.values, at)
        base = _changed(base, left, path, lines)
    replaced: list[str] = []
    problems = list(base.problems)
    merged = merge(own, base.values, replaced=replaced, problems=problems)
    return Layer(merged, {**without(base.origins, replaced), **written_in(str(path), own, lines)}, tuple(problems))


def merge(
    own: Mapping[str, Any], base: Mapping[str, Any], path: str = "", *, replaced: list[str], problems: list[Problem]
) -> dict[str, Any]:
    """Lay a file's keys over its base's.

    Args:
        own: Keys of the file.
        base: Keys of the base.
        path: Where these keys stand in the config.
        replaced: Receives the paths at which the base's value is gone.
        problems: Receives the blocks that meet something in the base that isn't one; they replace it.
    """
    merged = dict(base)
    for key, value in own.items():
        below, where = base.get(key), join(path, key)
        if isinstance(value, dict) and isinstance(below, dict) and not value.get(DELETE):
            block = {name: each for name, each in value.items() if name != DELETE}
            merged[key] = merge(block, below, where, replaced=replaced, problems=problems)
            continue
        if isinstance(value, dict) and below is not None and not value.get(DELETE):
            what = f"a block of keys here, but {show(below)} in the base; to replace it add `{DELETE}: true`"
            problems.append(Problem(where, what))
        merged[key] = drop_delete(value)
        replaced.append(where)
    return merged


def drop_delete(value: Any) -> Any:
    """Return a copy without any ``_delete_``, which has done its work."""
    if isinstance(value, dict):
        return {key: drop_delete(each) for key, each in value.items() if key != DELETE}
    return [drop_delete(each) for each in value] if isinstance(value, list) else value


def plain(value: Any, at: At, path: str = "") -> Any:
    """Copy a value of a ``.py`` config as plain data; tuples become lists, as YAML would have them.

    Raises:
        ConfigError: It isn't plain data.
    """
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ConfigError(f"{at(path)}: {path or 'top level'}: a key must be a string, got {key!r}")
        return {str(key): plain(each, at, join(path, key)) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, at, join(path, index)) for index, each in enumerate(value)]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise ConfigError(
        f"{at(path)}: {path}: a config holds plain data (strings, numbers, booleans, None, lists, dicts), "
        f"got {type(value).__name__}"
    )


def _compose_bases(references: Any, path: Path, table: ComponentTable | None, chain: tuple[Path, ...], at: At) -> Layer:
    """Compose all bases of a file into one; they must not contradict each other."""
    if isinstance(references, str):
        references = [references]
    if not isinstance(references, list) or not all(isinstance(reference, str) for reference in references):
        raise ConfigError(f"{at(BASE)}: {BASE} must be a file name or a list of file names, got {references!r}")
    merged = Layer({}, {})
    set_by: dict[str, str] = {}
    missing: list[str] = []
    for index, reference in enumerate(references):
        place = at(join(BASE, index))
        try:
            base = compose(_locate(reference, path, place, table), table, chain)
        except ConfigError as error:
            missing.append(str(error))
            continue
        problems = list(base.problems)
        for key, value in base.values.items():
            if key in merged.values and merged.values[key] != value:
                what = f"{place}: both {set_by[key]!r} and {reference!r} set it, to different values"
                problems.append(Problem(key, f"{what}; keep one of them as {BASE} and write the rest here"))
            set_by.setdefault(key, reference)
        merged = Layer(
            {**merged.values, **base.values}, {**base.origins, **merged.origins}, (*merged.problems, *problems)
        )
    if missing:
        raise ConfigError("\n".join(dict.fromkeys(missing)))
    return merged


def _locate(reference: str, path: Path, place: str, table: ComponentTable | None) -> Path:
    """The file that a ``_base_`` entry names: relative to the file it stands in, or packaged with a plugin."""
    if "::" in reference:
        found = packaged(reference, f"{place}: {BASE} {reference!r}", table)
    else:
        found = Path(os.path.normpath(path.parent / reference))
    if path.suffix in _YAML and found.suffix == ".py":
        raise ConfigError(
            f"{place}: {BASE} {reference!r} is a program, and a YAML config runs nothing: "
            "make this file a .py config, or write the base in YAML"
        )
    if not found.is_file():
        raise ConfigError(f"{place}: {BASE} {reference!r} not found; {_nearby(found, but=path)}")
    return found


def _places(path: Path, lines: Mapping[str, int]) -> At:
    """Name file and line of the paths of one file."""
    return lambda key: str(Origin(str(path), nearest(lines, key)))


def packaged(reference: str, title: str, table: ComponentTable | None = None) -> Path:
    """The file that ``<name>::<file>`` names, which lies in a plugin's package.

    Args:
        reference: The two.
        title: What to call it in messages.
        table: Where the name is looked up; the table of this process by default.

    Raises:
        ConfigError: No plugin has a config folder of that name.
    """
    name, _, file = reference.partition("::")
    try:
        configs = (table or get_table()).find_configs(name)
    except PluginError as error:
        raise ConfigError(f"{title}: {error}") from error
    folder = configs.path()
    if folder is None:
        raise ConfigError(f"{title}: plugin {configs.plugin!r} names package {configs.package!r}, which is not there")
    return folder / file


def _nearby(missing: Path, but: Path | None = None) -> str:
    """Name what lies where a file was looked for."""
    if not missing.parent.is_dir():
        return f"there is no folder {str(missing.parent)!r}"
    names = sorted(file.name for file in missing.parent.iterdir() if file.suffix in _SUFFIXES and file != but)
    close = difflib.get_close_matches(missing.name, names, n=3) or names[:5]
    return f"nearby: {', '.join(close)}" if close else f"there are no configs in {str(missing.parent)!r}"


def _parse_python(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: nested too deeply
        line = getattr(error, "lineno", None) or 1
        raise ConfigError(f"{path}:{line}: {getattr(error, 'msg', error)}") from error


def _is_base(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == BASE for target in statement.targets
    )


def _python_bases(tree: ast.Module, path: Path) -> Any:
    """The value of ``_base_ = ...``, which is needed before the file can run; its statement is taken out."""
    found = [statement for statement in tree.body if _is_base(statement)]
    tree.body = [statement for statement in tree.body if not _is_base(statement)]
    references: Any = []
    for statement in found:
        assert isinstance(statement, ast.Assign)
        try:
            references = ast.literal_eval(statement.value)
        except (ValueError, TypeError, RecursionError) as error:
            message = f"{path}:{statement.lineno}: {BASE} must be written out: a file name or a list of file names"
            raise ConfigError(message) from error
    return list(references) if isinstance(references, tuple) else references


def _run_python(tree: ast.Module, path: Path, base: dict[str, Any], at: At) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a ``.py`` config.

    Returns:
        The file's own keys, and the base as the file left it.
    """
    # Here, for MMEngine takes longer to import than a YAML config to read.
    from mmengine.config import ConfigDict

    from copl_core.config import mmengine_yaml  # noqa: F401 - for a config that reads YAML through MMEngine

    names: dict[str, Any] = {BASE: ConfigDict(base)}
    _guarded(lambda: exec(compile(tree, str(path), "exec"), names), path)
    left = names.pop(BASE, {})
    if not isinstance(left, Mapping):
        raise ConfigError(f"{path}: {BASE} must stay the block of keys it is, got {show(left)}")
    own = {
        name: value
        for name, value in names.items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and not callable(value)
    }
    try:
        return plain(own, at), plain(left, lambda key: at(join(BASE, key)))
    except RecursionError as error:
        raise ConfigError(f"{path}: a value is nested too deeply, or holds itself") from error


def _changed(base: Layer, left: dict[str, Any], path: Path, lines: Mapping[str, int]) -> Layer:
    """The base as a .py config left it; what it changed there comes from that file."""
    before = dict(paths(base.values))
    # The line of ``_base_ = ...`` itself says nothing of a change.
    lines = {key: line for key, line in lines.items() if key != BASE}
    origins = {}
    for where, value in paths(left):
        changed = where not in before or (before[where] != value and not isinstance(value, dict))
        line = nearest(lines, join(BASE, where)) if changed else None
        origins[where] = Origin(str(path), line) if changed else base.origins[where]
    return Layer(left, origins, base.problems)


def _guarded(run: Callable[[], None], path: Path) -> None:
    """Turn whatever a config raises into one line with the place in the config."""
    try:
        run()
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = f":{lines[-1]}" if lines else ""
        raise ConfigError(f"{path}{line}: {type(error).__name__}: {error}") from error
