"""The data set: pictures and sound of a clip on disk, and its class."""

import csv
from pathlib import Path

import torch
from copl_core.api import DataError
from copl_core.contracts import Dataset, Names, Sample
from copl_core.data import AudioRecipe, Problem, audio_segments, read_image, read_wav, refuse, to_input
from PIL import Image

#: T.
FRAMES = 4


class TemplateNameDataset(Dataset):
    """The clips of one split, each of one class.

    On disk::

        <root>/<split>.csv            name,class
        <root>/frames/<name>/<t>.png  t = 0 .. T - 1
        <root>/sound/<name>.wav

    Args:
        root: The folder that holds the lists.
        split: ``train``, ``val`` or ``test``, set by the framework.
        audio: How the sound becomes spectrograms.

    Raises:
        DataError: A list or a file is missing, or a class is not one of those trained with.
    """

    def __init__(self, *, root: Path, split: str, audio: AudioRecipe) -> None:
        self.root = root
        self.recipe = audio
        self.classes = tuple(sorted({label for _, label in read_list(self.root / "train.csv")}))
        self.clips = read_list(self.root / f"{split}.csv")
        problems = [
            Problem(f"{split}.csv:{line}", what)
            for line, (name, label) in enumerate(self.clips, start=2)
            for what in self._problems(name, label)
        ]
        if problems:
            refuse(problems, f"split {split!r} in {self.root}")

    @property
    def names(self) -> Names:
        """``classes``: by class number."""
        return {"classes": self.classes}

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample:
        """``name``; ``visual`` (T, 3, H, W); ``audio`` (T, ...); ``label``, a class number."""
        image_spec, audio_spec = self.specs
        name, label = self.clips[index]
        waveform, rate = read_wav(self._sound(name), self.recipe.downmix)
        return {
            "name": name,
            "visual": to_input(self.pictures(index), image_spec),
            "audio": audio_segments(waveform, rate, self.recipe, audio_spec, FRAMES),
            "label": torch.tensor(self.classes.index(label)),
        }

    def pictures(self, index: int) -> list[Image.Image]:
        """The T frames of a clip."""
        return [read_image(path) for path in self._frames(self.clips[index][0])]

    def _frames(self, name: str) -> list[Path]:
        return [self.root / "frames" / name / f"{t}.png" for t in range(FRAMES)]

    def _sound(self, name: str) -> Path:
        return self.root / "sound" / f"{name}.wav"

    def _problems(self, name: str, label: str) -> list[str]:
        files = [*self._frames(name), self._sound(name)]
        problems = [f"no file {path}" for path in files if not path.is_file()]
        if label not in self.classes:
            problems.append(f"class {label!r} is not in train.csv, which has {', '.join(self.classes)}")
        return problems


def read_list(path: Path) -> list[tuple[str, str]]:
    """Read the rows (name, class) of a list.

    Raises:
        DataError: There is no such list, or it is empty or malformed.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}; set task.dataset.root to the folder that holds it") from error
    if header != ["name", "class"] or not rows:
        raise DataError(f"{path}: expected the line 'name,class' and one line a clip")
    for line, row in enumerate(rows, start=2):
        if len(row) != 2:
            raise DataError(f"{path}:{line}: expected name,class, got {','.join(row)!r}")
    return [(name, label) for name, label in rows]
