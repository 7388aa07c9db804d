"""JSON files of a run, read as dataclasses: a damaged one is told by its name."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from copl_core.api import ConfigError
from copl_core.config.values import ValueReader

T = TypeVar("T")

#: What to do about a damaged file.
MOVE_AWAY = "restore the file, or move it away to go on without it"


def read_record(path: Path, kind: type[T]) -> T:
    """Read a file that holds one object.

    Raises:
        ConfigError: It can't be read, or doesn't hold such an object.
    """
    return as_record(read_json(path), kind, path)


def as_record(document: Any, kind: type[T], path: Path) -> T:
    """A JSON object as a dataclass; keys that it doesn't know, perhaps of a later copl, are left out.

    Args:
        document: The object.
        kind: A dataclass.
        path: Of the file, for messages.

    Raises:
        ConfigError: It is no object, or a value is missing or of another type.
    """
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected an object, got {type(document).__name__}; {MOVE_AWAY}")
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass, which TypeVar can't say
    reader = ValueReader()
    record: T = reader.read({key: value for key, value in document.items() if key in known}, kind, "")
    if reader.problems:
        raise ConfigError(f"{path} is damaged: {'; '.join(map(str, reader.problems))}; {MOVE_AWAY}")
    return record


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ConfigError: It can't be read, or is none.
    """
    return parse_json(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        ConfigError: It can't be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}; {MOVE_AWAY}") from error


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Args:
        text: The text.
        where: It comes from, for messages.

    Raises:
        ConfigError: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: no JSON ({error}); {MOVE_AWAY}") from error
