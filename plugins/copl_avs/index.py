"""The files of AVSBench: where they lie, and which clips a split has."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from copl_core.api import ConfigError, DataError
from copl_core.data import Problem, refuse

SPLITS = ("train", "val", "test")
FRAMES = 5
FOLDERS = {"visual_frames": "frames, PNG", "audio_wav": "sound, WAV", "gt_masks": "masks, PNG"}
PAGE = "https://github.com/OpenNLPLab/AVSBench"


@dataclass(frozen=True)
class Subset:
    """One of AVSBench's two subsets in its official layout.

    Attributes:
        name: Short name.
        folder: The folder that holds the list of clips.
        csv: The list of clips.
        data: The folder of the files, beside it.
        clips: Number of clips that the authors give for each split.
        by_category: Files lie in a folder of their category, and only the first training frame has a mask (S4); else
            pictures lie in one folder for all splits, and every frame has a mask (MS3).
        demo: A way to try without the data set.
    """

    name: str
    folder: str
    csv: str
    data: str
    clips: Mapping[str, int] = field(compare=False)  # a dict has no hash
    by_category: bool
    demo: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """Where the folder that holds the list may lie, seen from the folder a person names."""
        return (".", self.folder, f"avsbench_data/{self.folder}", f"AVSBench_data/{self.folder}")


S4 = Subset(
    name="S4",
    folder="Single-source",
    csv="s4_meta_data.csv",
    data="s4_data",
    clips={"train": 3452, "val": 740, "test": 740},
    by_category=True,
    demo="or try the built-in demo first: make demo  (configs/demo/avs_swin_nano_shared.yaml)",
)
MS3 = Subset(
    name="MS3",
    folder="Multi-sources",
    csv="ms3_meta_data.csv",
    data="ms3_data",
    clips={"train": 296, "val": 64, "test": 64},
    by_category=False,
)


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name: Name of its files.
        category: What sounds in it; empty in MS3, where several things do.
        split: One of ``SPLITS``.
        data: The folder of the files.
        subset: The subset it belongs to.
        where: File and line of its row.
    """

    name: str
    category: str
    split: str
    data: Path
    subset: Subset
    where: str = field(default="", compare=False)

    @property
    def frames(self) -> list[Path]:
        """Its five pictures."""
        if self.subset.by_category:
            return _numbered(self._folder("visual_frames") / self.name, self.name, FRAMES)
        return _numbered(self.data / "visual_frames" / self.name, f"{self.name}.mp4", FRAMES)

    @property
    def sound(self) -> Path:
        """Its sound."""
        return self._folder("audio_wav") / f"{self.name}.wav"

    @property
    def masks(self) -> list[Path]:
        """Masks of its first frames: of all five, but of one in the training split of S4."""
        count = 1 if self.subset.by_category and self.split == "train" else FRAMES
        return _numbered(self._folder("gt_masks") / self.name, self.name, count)

    def _folder(self, kind: str) -> Path:
        return self.data / kind / self.split / self.category


@dataclass(frozen=True)
class Index:
    """What the list of clips says of one split.

    Attributes:
        file: The list.
        clips: Those whose rows are in order, in the order of the list.
        problems: The rows that are not. Those that name no split belong to ``train``.
    """

    file: Path
    clips: list[Clip]
    problems: list[Problem]


def _numbered(folder: Path, name: str, count: int) -> list[Path]:
    return [folder / f"{name}_{n}.png" for n in range(1, count + 1)]


def load_index(root: str | Path, split: str, subset: Subset = S4) -> Index:
    """Find the data set and read its list of clips.

    Args:
        root: The folder that holds the list of clips (``Single-source``, ``Multi-sources``), or one of its parents.
        split: One of ``SPLITS``.
        subset: Which of the two.

    Raises:
        ConfigError: There is no such split.
        DataError: Something is missing, or the list as a whole can't be read.
    """
    if split not in SPLITS:
        raise ConfigError(f"data set AVSBench: split is {split!r}: must be one of {', '.join(SPLITS)}")
    base = _find(Path(root).expanduser(), subset)
    clips, problems = read_csv(base, subset)
    index = Index(
        base / subset.csv,
        [clip for clip in clips if clip.split == split],
        [problem for of, problem in problems if of == split],
    )
    if not index.clips and not index.problems:
        raise DataError(f"{index.file}: no clip of split {split!r}; download the file again from {PAGE}")
    return index


def read_csv(base: Path, subset: Subset) -> tuple[list[Clip], list[tuple[str, Problem]]]:
    """Read the list of clips: ``split`` and S4's ``category`` by column name, the clip's name from the first column.

    Returns:
        The clips; what is wrong with the other rows, each with the split it belongs to.

    Raises:
        DataError: The list as a whole can't be read; the message begins with file and line.
    """
    path, clips, problems = base / subset.csv, list[Clip](), list[tuple[str, Problem]]()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            try:
                header = [column.strip() for column in next(reader, [])]
                _check_header(header, path, subset)
                for row in reader:
                    fields = [field.strip() for field in row]
                    where = f"{path}:{reader.line_num}"
                    if not fields:
                        problems.append((SPLITS[0], Problem(where, "empty line; remove it", samples=0)))
                        continue
                    try:
                        clips.append(_read_row(fields, header, base / subset.data, subset, where))
                    except ValueError as error:
                        problems.append((_split_of(fields, header), Problem(where, str(error))))
            except csv.Error as error:
                _refuse(path, reader.line_num, f"{error}; correct this line", subset)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not clips and not problems:
        _refuse(path, 1, "no clips after the header", subset)
    return clips, problems


def _refuse(path: Path, line: int, what: str, subset: Subset) -> NoReturn:
    """Tell what is wrong with the list as a whole."""
    refuse([Problem(f"{path}:{line}", what)], f"list of clips of AVSBench {subset.name}")


def _check_header(header: list[str], path: Path, subset: Subset) -> None:
    if not header:
        _refuse(path, 1, f"the file is empty; download it again from {PAGE}", subset)
    for column in ("category", "split") if subset.by_category else ("split",):
        if column not in header:
            _refuse(path, 1, f"no column {column!r}; the columns are {', '.join(header)}", subset)


def _read_row(fields: list[str], header: list[str], data: Path, subset: Subset, where: str) -> Clip:
    """Read a row; a ``ValueError`` says what is wrong with it."""
    if len(fields) != len(header):
        raise ValueError(f"{len(fields)} fields, but the header has {len(header)}")
    name, split = fields[0], fields[header.index("split")]
    category = fields[header.index("category")] if subset.by_category else ""
    for what, value in [("name", name), ("category", category)][: 2 if subset.by_category else 1]:
        # These become parts of paths: one with a separator would lead out of the data set.
        if not value or value in (".", "..") or any(sign in value for sign in "/\\\0"):
            raise ValueError(f"{value!r} is no {what} of a clip")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}: must be one of {', '.join(SPLITS)}")
    return Clip(name=name, category=category, split=split, data=data, subset=subset, where=where)


def _split_of(fields: list[str], header: list[str]) -> str:
    """The split that a malformed row is told with: its own where that can be read, else the first one."""
    place = header.index("split")
    return fields[place] if place < len(fields) and fields[place] in SPLITS else SPLITS[0]


def _find(root: Path, subset: Subset) -> Path:
    """The folder that holds the CSV.

    Raises:
        DataError: Names every part that is missing.
    """
    places = [root / below for below in subset.places]
    # Without a CSV, the place with the data is the one to complain about.
    base = next((p for p in places if (p / subset.csv).is_file()), None)
    base = base or next((p for p in places if (p / subset.data).is_dir()), root)
    missing = [] if (base / subset.csv).is_file() else [(subset.csv, "list of clips", base / subset.csv)]
    folders = {name: base / subset.data / name for name in FOLDERS}
    missing += [(name, FOLDERS[name], path) for name, path in folders.items() if not path.is_dir()]
    if not missing:
        return base
    found = "no such folder" if not root.exists() else "found it incomplete" if len(missing) < 4 else "not there"
    raise DataError(
        "\n".join(
            [
                f"data set AVSBench {subset.name}: looked in {root} ({found}); missing:",
                *(f"  {name:13} ({what}): {_looked_for(path)}" for name, what, path in missing),
                f"get it from {PAGE} (request form on that page; choose the {subset.folder} ({subset.name}) subset), "
                "unpack it,",
                f"and set task.dataset.root to the folder that holds {subset.csv}, or to a parent of it"
                + ("," if subset.demo else ""),
                *([subset.demo] if subset.demo else []),
            ]
        )
    )


def _looked_for(path: Path) -> str:
    if not path.exists():
        return f"looked for {path}"
    return f"{path} is a {'directory, not a file' if path.is_dir() else 'file, not a directory'}"
