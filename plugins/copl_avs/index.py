"""The files of AVSBench S4: where they lie, which clips a split has, and whether all of it is there."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from copl_core.api import ConfigError, DataError

SPLITS = ("train", "val", "test")
FRAMES = 5
CSV = "s4_meta_data.csv"
DATA = "s4_data"
FOLDERS = {"visual_frames": "frames, PNG", "audio_wav": "sound, WAV", "gt_masks": "masks, PNG"}
PAGE = "https://github.com/OpenNLPLab/AVSBench"

# Where the folder that holds the CSV may lie, seen from the folder a person names.
_BELOW = (".", "Single-source", "avsbench_data/Single-source", "AVSBench_data/Single-source")
_SHOWN = 5


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name: Name of its files.
        category: What sounds in it.
        split: One of ``SPLITS``.
        data: The folder ``s4_data``.
    """

    name: str
    category: str
    split: str
    data: Path

    @property
    def frames(self) -> list[Path]:
        """Its five pictures."""
        return [self._folder("visual_frames") / self.name / f"{self.name}_{n}.png" for n in range(1, FRAMES + 1)]

    @property
    def sound(self) -> Path:
        """Its sound."""
        return self._folder("audio_wav") / f"{self.name}.wav"

    @property
    def masks(self) -> list[Path]:
        """Masks of its first frames: of one frame in the training split, of all five in the others."""
        count = 1 if self.split == "train" else FRAMES
        return [self._folder("gt_masks") / self.name / f"{self.name}_{n}.png" for n in range(1, count + 1)]

    def _folder(self, kind: str) -> Path:
        return self.data / kind / self.split / self.category


def load_index(root: str, split: str) -> list[Clip]:
    """Find the data set and check that every file of a split is there.

    Args:
        root: The folder that holds ``s4_meta_data.csv`` (``Single-source``), or one of its parents.
        split: One of ``SPLITS``.

    Returns:
        The clips of the split in the order of the CSV.

    Raises:
        ConfigError: There is no such split.
        DataError: Something is missing or malformed.
    """
    if split not in SPLITS:
        raise ConfigError(f"data set avs_s4: split is {split!r}: must be one of {', '.join(SPLITS)}")
    base = _find(Path(root).expanduser())
    clips = [clip for clip in read_csv(base / CSV, base / DATA) if clip.split == split]
    if not clips:
        raise DataError(f"{base / CSV}: no clip of split {split!r}; download the file again from {PAGE}")
    _check_files(clips, base)
    return clips


def read_csv(path: Path, data: Path) -> list[Clip]:
    """Read the list of clips: ``category`` and ``split`` by column name, the clip's name from the first column.

    Raises:
        DataError: ``<file>:<line number>: <what>``.
    """
    clips: list[Clip] = []
    lines: dict[Clip, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            try:
                header = [column.strip() for column in next(reader, [])]
                _check_header(header, path)
                for row in reader:
                    clip = _read_row(row, header, data, f"{path}:{reader.line_num}")
                    if clip in lines:
                        raise DataError(
                            f"{path}:{reader.line_num}: clip {clip.name!r} is listed before, in line {lines[clip]}"
                        )
                    lines[clip] = reader.line_num
                    clips.append(clip)
            except csv.Error as error:
                raise DataError(f"{path}:{reader.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not clips:
        raise DataError(f"{path}:1: no clips after the header")
    return clips


def _check_header(header: list[str], path: Path) -> None:
    if not header:
        raise DataError(f"{path}:1: the file is empty; download it again from {PAGE}")
    for column in ("category", "split"):
        if column not in header:
            raise DataError(f"{path}:1: no column {column!r}; the columns are {', '.join(header)}")


def _read_row(row: list[str], header: list[str], data: Path, where: str) -> Clip:
    if not row:
        raise DataError(f"{where}: empty line; remove it")
    if len(row) != len(header):
        raise DataError(f"{where}: {len(row)} fields, but the header has {len(header)}")
    fields = [field.strip() for field in row]
    name, category, split = fields[0], fields[header.index("category")], fields[header.index("split")]
    for what, value in (("name", name), ("category", category)):
        # These become parts of paths: one with a separator would lead out of the data set.
        if not value or value in (".", "..") or any(sign in value for sign in "/\\\0"):
            raise DataError(f"{where}: {value!r} is no {what} of a clip")
    if split not in SPLITS:
        raise DataError(f"{where}: split is {split!r}: must be one of {', '.join(SPLITS)}")
    return Clip(name=name, category=category, split=split, data=data)


def _find(root: Path) -> Path:
    """The folder that holds the CSV.

    Raises:
        DataError: Names every part that is missing.
    """
    places = [root / below for below in _BELOW]
    # Without a CSV, the place with the data is the one to complain about.
    base = next((p for p in places if (p / CSV).is_file()), None)
    base = base or next((p for p in places if (p / DATA).is_dir()), root)
    missing = [] if (base / CSV).is_file() else [(CSV, "list of clips", base / CSV)]
    missing += [(name, what, base / DATA / name) for name, what in FOLDERS.items() if not (base / DATA / name).is_dir()]
    if not missing:
        return base
    found = "no such folder" if not root.exists() else "found it incomplete" if len(missing) < 4 else "not there"
    raise DataError(
        "\n".join(
            [
                f"data set AVSBench S4: looked in {root} ({found}); missing:",
                *(f"  {name:13} ({what}): looked for {path}" for name, what, path in missing),
                f"get it from {PAGE} (request form on that page; choose the Single-source (S4) subset), unpack it,",
                f"and set task.dataset.root to the folder that holds {CSV}, or to a parent of it,",
                "or try the built-in demo first: make demo  (configs/demo/avs_swin_nano_shared.yaml)",
            ]
        )
    )


def _check_files(clips: Iterable[Clip], base: Path) -> None:
    """One listing a folder instead of one look-up a file: a split has some 25,000 of them."""
    listings: dict[Path, frozenset[str]] = {}
    total, missing = 0, []
    for clip in clips:
        for path in (*clip.frames, clip.sound, *clip.masks):
            total += 1
            if path.parent not in listings:
                listings[path.parent] = _names(path.parent)
            if path.name not in listings[path.parent]:
                missing.append(path)
    if not missing:
        return
    shown = [f"  {path.relative_to(base)}" for path in missing[:_SHOWN]]
    if len(missing) > _SHOWN:
        shown.append(f"  and {len(missing) - _SHOWN} more")
    raise DataError(
        "\n".join(
            [
                f"data set AVSBench S4: {len(missing)} of {total} files of this split are missing in {base}:",
                *shown,
                f"unpack the archive again, or download it again from {PAGE};",
                f"to go on without these clips, remove their lines from {base / CSV}",
            ]
        )
    )


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:
        return frozenset()
