"""Small lists in AVE's official form, and media that need no files."""

from pathlib import Path

import torch
from PIL import Image

from copl_core.data import Durations

HEADER = "Category&VideoID&Quality&StartTime&EndTime\n"
ROWS = {
    "train": ["Church bell&-aaa&good&0&10", "Male speech, man speaking&bbb&good&2&5", "Bark&c_c&good&0&0"],
    "val": ["Bark&ddd&good&3&10"],
    "test": ["Male speech, man speaking&eee&good&8&9", "Church bell&-aaa&good&4&6"],
}


def write_lists(folder: Path, *, header: str = "", newline: str = "\n", last: str = "\n") -> Path:
    """Write ``ROWS`` as lists."""
    folder.mkdir(parents=True, exist_ok=True)
    # As in the release, Annotations.txt is not in the order of the splits.
    rows = [row for own in ROWS.values() for row in own]
    annotated = sorted(rows, key=lambda row: "CMB".index(row[0]))
    text = header + newline.join(annotated) + last
    (folder / "Annotations.txt").write_bytes(text.replace(HEADER, HEADER.strip() + newline).encode())
    for split, rows in ROWS.items():
        (folder / f"{split}Set.txt").write_bytes((newline.join(rows) + last).encode())
    return folder


class FakeMedia:
    """Clips of ten coloured frames and a sound whose every sample is the second it belongs to."""

    def __init__(self, **settings) -> None:
        self.settings = settings
        self.root = settings["root"]
        self.extracted = self.pieces = False
        self.missing_audio = settings["missing_audio"]
        self.problems: dict[str, str] = {}
        self.lengths: dict[str, float] = {}
        self.pictures: dict[str, float] = {}
        self.asked: list[str] = []

    def describe(self) -> str:
        return "videos from nowhere"

    def problem(self, name: str, misfit) -> str | None:
        self.asked.append(name)
        if name in self.problems:
            return self.problems[name]
        length = self.lengths.get(name, 10.0)
        return misfit(Durations(self.pictures.get(name, length), length))

    def clip(self, name: str) -> "FakeClip":
        return FakeClip(name, self.lengths.get(name, 10.0))


class FakeClip:
    rate = 16000

    def __init__(self, name: str, length: float) -> None:
        self.name = name
        self.length = length

    def seconds(self) -> float:
        return self.length

    def frames(self, count: int) -> list[Image.Image]:
        return [Image.new("RGB", (20, 12), (20 * n, 0, len(self.name))) for n in range(count)]

    def sound(self) -> tuple[torch.Tensor, int]:
        return torch.arange(int(self.length * self.rate)) // self.rate / 10, self.rate
