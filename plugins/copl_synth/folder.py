"""A generated data set's folder: there when it is complete and not before, and never mixed with anything else."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

SPLITS = ("train", "val", "test")
MARKER = "copl_synth.json"
"""File with the settings the folder was made with, written last."""

Item = TypeVar("Item")


class OutputConflictError(FileExistsError):
    """The output folder holds something other than the data set asked for."""


def require_at_least(settings: object, **least: int) -> None:
    """Refuses settings no data set can have.

    Args:
        settings: Object with an attribute for each name.
        **least: Least value of each attribute.

    Raises:
        ValueError: An attribute lies below its least value.
    """
    for name, value in least.items():
        if getattr(settings, name) < value:
            raise ValueError(f"{name} must be at least {value}, not {getattr(settings, name)}")


def write_folder(out: str | os.PathLike[str], wanted: Mapping[str, object], write: Callable[[Path], None]) -> bool:
    """Writes a data set, or nothing if it is already there.

    All is written to a sibling folder that takes the name `out` at the very end: `out` is complete or absent.

    Args:
        out: Folder to create.
        wanted: The settings that determine its content, as they are kept in its `MARKER`.
        write: Writes every file but the marker below the folder it is given.

    Returns:
        Whether it was written; False if `out` already held it.

    Raises:
        OutputConflictError: `out` exists and is not this data set.
    """
    out = Path(out)
    if _is_complete(out, wanted):
        return False
    partial_out = out.parent / f".{out.name}.{os.getpid()}.partial"
    shutil.rmtree(partial_out, ignore_errors=True)
    try:
        partial_out.mkdir(parents=True)
        write(partial_out)
        (partial_out / MARKER).write_text(json.dumps(dict(wanted), sort_keys=True) + "\n", encoding="utf-8")
        try:
            partial_out.rename(out)
        except OSError:
            if _is_complete(out, wanted):  # another process was quicker
                return False
            raise
    finally:
        shutil.rmtree(partial_out, ignore_errors=True)
    return True


def _is_complete(out: Path, wanted: Mapping[str, object]) -> bool:
    """Whether `out` holds the data set; False if it is absent or empty, an error if it holds anything else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise OutputConflictError(f"{out} exists and is not a generated data set; choose another folder") from None
    if found == wanted:
        return True
    if not isinstance(found, dict):
        found = {}
    differing = ", ".join(
        f"{key} {found.get(key)} not {value}" for key, value in wanted.items() if found.get(key) != value
    )
    raise OutputConflictError(f"{out} was made with other settings ({differing}); remove it or choose another folder")


def for_each(write: Callable[[Item], Any], items: Iterable[Item], *, workers: int) -> None:
    """Calls a picklable function with every item, in processes of its own if there are to be several.

    Args:
        write: What to call; its result is dropped.
        items: Its arguments.
        workers: Processes to share the work; more than one calls for an importable `__main__`.
    """
    if workers > 1:
        # Spawned, not forked: the caller may run threads.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
            for _ in executor.map(write, items, chunksize=8):
                pass
    else:
        for item in items:
            write(item)


def write_lines(path: Path, records: Iterable[object]) -> None:
    """Writes a JSON array with one record a line, for programs and for people.

    Args:
        path: File to write.
        records: What JSON can hold.
    """
    lines = ",\n".join(json.dumps(record) for record in records)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
