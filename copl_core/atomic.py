"""Writing files so that each is either the old one or the whole new one."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

#: Fills the file at a path.
Write = Callable[[Path], object]


def write_atomically(path: Path, write: Write) -> None:
    """Let ``write`` fill a temporary file in the same folder, then move it to ``path``, readable as new files are.

    Data is on the disk before the name points to it; a kill at any moment leaves the previous file intact.
    """
    write_together({path: write})


def write_together(writes: Mapping[Path, Write]) -> None:
    """Replace several files, the old ones staying until all new ones are on the disk.

    Only a kill in the moment of the moves can come between them. The files not yet moved then lie complete under their
    temporary names (``temporary_files``), for a later start to finish.

    Args:
        writes: What fills each file; they are moved in this order.
    """
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in writes}
    moved = 0
    try:
        for path, write in writes.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _fill(temporaries[path], write)
        for path, temporary in temporaries.items():
            temporary.replace(path)
            moved += 1
    finally:
        if not moved:
            for temporary in temporaries.values():
                temporary.unlink(missing_ok=True)
    for folder in {path.parent for path in writes}:
        sync_folder(folder)


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def temporary_files(folder: Path, name: str = "*") -> list[Path]:
    """What killed processes have left in a folder of the files called ``name``."""
    return sorted(folder.glob(f".{name}.*.tmp"))


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process has left."""
    for path in temporary_files(folder):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fill(temporary: Path, write: Write) -> None:
    """Write a file, bring it to the disk, and give it the mode that new files have here."""
    temporary.unlink(missing_ok=True)
    temporary.touch()  # its mode is that of new files, whatever mode the writer prefers
    mode = temporary.stat().st_mode & 0o777
    write(temporary)
    with temporary.open("rb") as handle:
        os.fchmod(handle.fileno(), mode)
        os.fsync(handle.fileno())
