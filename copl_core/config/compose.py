"""One config out of a file and the files it is based on.

The rules are those of MMEngine's ``Config`` for text configs (``lazy_import=False``): ``_base_`` names one file or
several, the bases' keys are merged first, then the file's own keys over them, block by block; ``_delete_: true`` in a
block replaces it instead. In a ``.py`` file the merged bases are at hand as ``_base_``. Beyond MMEngine: two bases may
set the same key to the same value, a block may be set again after a base removed it (null), and names of a ``.py``
file that begin with an underscore stay out of the config.
"""

import ast
import difflib
import os
import traceback
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.config import ConfigDict

from copl_core.api import ConfigError, PluginError
from copl_core.config.strict_yaml import read_yaml
from copl_core.config.values import join, show
from copl_core.plugins import ComponentTable, get_table

BASE = "_base_"
DELETE = "_delete_"
_YAML = (".yaml", ".yml")
_SUFFIXES = (".py", *_YAML)


def compose(path: Path, table: ComponentTable | None = None, chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a config file and all its bases.

    Args:
        path: The file.
        table: Where ``<name>::<file>`` is looked up; the table of this process by default.
        chain: The files that led here.

    Returns:
        Plain data: dicts, lists, strings, numbers, booleans, None.

    Raises:
        ConfigError: A file is missing, wrong, or based on itself.
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
        own = read_yaml(path)
        base = _compose_bases(own.pop(BASE, []), path, table, chain)
    else:
        tree = _parse_python(path)
        base = _compose_bases(_python_bases(tree, path), path, table, chain)
        own, base = _run_python(tree, path, base)
    return merge(own, base, str(path))


def merge(own: Mapping[str, Any], base: Mapping[str, Any], source: str, path: str = "") -> dict[str, Any]:
    """Lay a file's keys over its base's.

    Args:
        own: Keys of the file.
        base: Keys of the base.
        source: The file, for messages.
        path: Where these keys stand in the config.

    Raises:
        ConfigError: A block of the file meets something in the base that isn't a block.
    """
    merged = dict(base)
    for key, value in own.items():
        if not isinstance(value, dict):
            merged[key] = drop_delete(value)
            continue
        below = base.get(key)
        if below is None or value.get(DELETE):
            merged[key] = drop_delete(value)
        elif isinstance(below, dict):
            block = {name: each for name, each in value.items() if name != DELETE}
            merged[key] = merge(block, below, source, join(path, key))
        else:
            raise ConfigError(
                f"{source}: {join(path, key)} is a block of keys here, but {show(below)} in the base; "
                f"to replace it add `{DELETE}: true`"
            )
    return merged


def drop_delete(value: Any) -> Any:
    """Return a copy without any ``_delete_``, which has done its work."""
    if isinstance(value, dict):
        return {key: drop_delete(each) for key, each in value.items() if key != DELETE}
    return [drop_delete(each) for each in value] if isinstance(value, list) else value


def plain(value: Any, source: str, path: str = "") -> Any:
    """Copy a value of a ``.py`` config as plain data; tuples become lists, as YAML would have them.

    Raises:
        ConfigError: It isn't plain data.
    """
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ConfigError(f"{source}: {path or 'top level'}: a key must be a string, got {key!r}")
        return {str(key): plain(each, source, join(path, key)) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, source, join(path, index)) for index, each in enumerate(value)]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise ConfigError(
        f"{source}: {path}: a config holds plain data (strings, numbers, booleans, None, lists, dicts), "
        f"got {type(value).__name__}"
    )


def _compose_bases(
    references: Any, path: Path, table: ComponentTable | None, chain: tuple[Path, ...]
) -> dict[str, Any]:
    """Compose all bases of a file into one dict; they must not contradict each other."""
    if isinstance(references, str):
        references = [references]
    if not isinstance(references, list) or not all(isinstance(reference, str) for reference in references):
        raise ConfigError(f"{path}: {BASE} must be a file name or a list of file names, got {references!r}")
    merged: dict[str, Any] = {}
    set_by: dict[str, str] = {}
    for reference in references:
        for key, value in compose(_locate(reference, path, table), table, chain).items():
            if key in merged and merged[key] != value:
                raise ConfigError(
                    f"{path}: both {set_by[key]!r} and {reference!r} set {key!r}, to different values; "
                    f"keep one of them as {BASE} and write the rest here"
                )
            merged[key] = value
            set_by.setdefault(key, reference)
    return merged


def _locate(reference: str, path: Path, table: ComponentTable | None) -> Path:
    """The file that a ``_base_`` entry names: relative to the file it stands in, or packaged with a plugin."""
    root, separator, file = reference.partition("::")
    if separator:
        found = _packaged_folder(root, reference, path, table) / file
    else:
        found = Path(os.path.normpath(path.parent / reference))
    if not found.is_file():
        raise ConfigError(f"{path}: {BASE} {reference!r} not found; {_nearby(found, but=path)}")
    return found


def _packaged_folder(root: str, reference: str, path: Path, table: ComponentTable | None) -> Path:
    title = f"{path}: {BASE} {reference!r}"
    try:
        configs = (table or get_table()).find_configs(root)
    except PluginError as error:
        raise ConfigError(f"{title}: {error}") from error
    try:
        spec = find_spec(configs.package)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"{title}: plugin {configs.plugin!r} names package {configs.package!r}, which is not there")
    return Path(spec.submodule_search_locations[0]) / configs.folder


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
    except (SyntaxError, ValueError) as error:
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
        except ValueError as error:
            message = f"{path}:{statement.lineno}: {BASE} must be written out: a file name or a list of file names"
            raise ConfigError(message) from error
    return list(references) if isinstance(references, tuple) else references


def _run_python(tree: ast.Module, path: Path, base: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a ``.py`` config.

    Returns:
        The file's own keys, and the base as the file left it.
    """
    names: dict[str, Any] = {BASE: ConfigDict(base)}
    _guarded(lambda: exec(compile(tree, str(path), "exec"), names), path)
    left = plain(names.pop(BASE), str(path))
    own = {
        name: value
        for name, value in names.items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and not callable(value)
    }
    return plain(own, str(path)), left


def _guarded(run: Callable[[], None], path: Path) -> None:
    """Turn whatever a config raises into one line with the place in the config."""
    try:
        run()
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = f":{lines[-1]}" if lines else ""
        raise ConfigError(f"{path}{line}: {type(error).__name__}: {error}") from error
