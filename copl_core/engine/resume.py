"""Resume state: what a killed run needs to go on, and nothing of the encoders."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from copl_core.api import WeightsError
from copl_core.atomic import write_atomically

RESUME_FILE = "resume.pt"
PREVIOUS_FILE = "resume.previous.pt"
DAMAGED_FILE = "resume.damaged.pt"
FORMAT, FORMAT_VERSION = "copl.resume", 1
#: What a state holds.
_SHAPE: dict[str, Any] = {
    "epoch": int,
    "step": int,
    "steps_per_epoch": int,
    "ranks": int,
    "trained": {"prompts": dict, "head": dict},
    "raw": (dict, type(None)),
    "optimizer": dict,
    "schedulers": list,
    "extra": {
        "config": dict,
        "settings": dict,
        "encoders": dict,
        "clips": {"count": int, "digest": str},
        "best": dict,
        "metrics": {"rows": list, "sums": dict, "steps": int},
        "skipped_steps": list,
        "unreadable": dict,
    },
}


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state, atomically, and keep the one before as ``resume.previous.pt``.

    Args:
        path: The state file.
        state: Tensors, numbers, text, lists and dictionaries: loads with ``weights_only=True``. Name and version of the
            format are added.

    Raises:
        OSError: It can't be written; both files are as they were.
    """
    content = io.BytesIO()
    torch.save({"format": FORMAT, "format_version": FORMAT_VERSION, **state}, content)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        # The new state is on the disk: only now the older one of the two may go.
        if path.exists():
            _link(path, path.with_name(PREVIOUS_FILE))

    write_atomically(path, write)


def read_state(path: Path) -> dict[str, Any]:
    """Read a state file.

    Raises:
        WeightsError: The file can't be read, or is none of this version of copl.
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()  # torch itself does not compare checksums
        if damaged:
            raise OSError(f"{damaged} is damaged")
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle's, zipfile's and its own errors here
        raise _unreadable(path, (str(error).strip() or type(error).__name__).splitlines()[0]) from error
    wrong = _wrong(state)
    if wrong:
        raise _unreadable(path, wrong)
    found: dict[str, Any] = state
    return found


def read_latest(work_dir: Path) -> tuple[dict[str, Any] | None, str]:
    """Read the newest good state of a work dir.

    Returns:
        The state, None if there is none; and what is to be told about it, if anything.

    Raises:
        WeightsError: There are state files and none of them can be read.
    """
    latest, previous = work_dir / RESUME_FILE, work_dir / PREVIOUS_FILE
    if not previous.exists():
        return (read_state(latest) if latest.exists() else None), ""
    try:
        return read_state(latest), ""
    except WeightsError as error:
        reason = str(error).splitlines()[0] if latest.exists() else f"{latest} is missing"
        state = read_state(previous)
        at = f"epoch {state['epoch'] + 1}, after step {state['step']}"
        return state, f"{reason}\nresuming from the state before it, {previous.name}: {at}"


def set_damaged_aside(work_dir: Path) -> None:
    """Move away a ``resume.pt`` that can't be read: the next save would link it in the place of the good state."""
    if (work_dir / RESUME_FILE).exists():
        (work_dir / RESUME_FILE).replace(work_dir / DAMAGED_FILE)


def _unreadable(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"cannot read the resume state {path}: {reason}\nDelete it to start again, or train into another --work-dir."
    )


def _wrong(state: Any) -> str:
    """Why what was read is no state; empty if it is one."""
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        return "it is no resume state of copl"
    version = state.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        return f"it has format version {version!r}, this copl reads {FORMAT_VERSION}"
    return _misfit(state, _SHAPE, "")


def _misfit(value: Any, shape: Any, path: str) -> str:
    """Where a value is not of its type; empty if it is. Keys beyond those of a shape may be there."""
    if not isinstance(shape, dict):
        return "" if isinstance(value, shape) else f"{path} is of type {type(value).__name__}"
    if not isinstance(value, dict):
        return f"{path} is of type {type(value).__name__}"
    for key, inner in shape.items():
        here = f"{path}.{key}" if path else key
        problem = _misfit(value[key], inner, here) if key in value else f"{here} is missing"
        if problem:
            return problem
    return ""


def _link(source: Path, target: Path) -> None:
    """Let ``target`` be the file that ``source`` is; where that can't be done, move it."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        os.link(source, temporary)
        temporary.replace(target)
    except OSError:  # a file system without hard links
        source.replace(target)
