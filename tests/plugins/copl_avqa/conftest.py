"""A small data set in the form of MUSIC-AVQA, its videos replaced by generated ones."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from copl_core.data import Durations


def record(video: str, number: int, kind: tuple[str, str], content: str, values: list[str], answer: str) -> dict:
    """A record as the published files have it: lists inside strings."""
    return {
        "video_id": video,
        "question_id": number,
        "type": json.dumps(kind),
        "question_content": content,
        "templ_values": json.dumps(values),
        "question_deleted": 0,
        "anser": answer,
    }


TRAIN = [
    record("00000001", 5, ("Audio", "Counting"), "How many musical instruments were heard?", [], "two"),
    record("-va2", 6, ("Audio-Visual", "Existential"), "Is the <Object> always playing? ", ["piano"], "no"),
    record(
        "00000003", 7, ("Visual", "Location"), "Is the <LRer> left of the <Object>\uff1f", ["leftest", "erhu"], "yes"
    ),
    record("00000001", 8, ("Audio", "Comparative"), "Is the erhu louder?", [], "yes"),
]
VAL = [
    record("00000009", 20, ("Audio-Visual", "Temporal"), "Is the <Object> left?", ["erhu"], "no"),
    record("00000001", 21, ("Visual", "Counting"), "How many musical instruments?", [], "two"),
]


class FakeClip:
    """Ten frames of one grey each, told apart by video and position; a second of noise."""

    def __init__(self, name: str) -> None:
        self.name = name

    def frames(self, count: int, only: Sequence[int] | None = None) -> list[Image.Image]:
        wanted = range(count) if only is None else only
        FakeMedia.decoded += len(wanted)
        return [Image.new("RGB", (12, 8), (video_grey(self.name), 10 * t, 0)) for t in wanted]

    def seconds(self) -> float:
        return FakeMedia.lengths.get(self.name, Durations(2.5, 2.5)).pictures

    def times(self, count: int) -> list[float]:
        return [0.1 * t for t in range(count)]

    def sound(self) -> tuple[torch.Tensor, int]:
        rng = np.random.default_rng(video_grey(self.name))
        return torch.from_numpy(rng.normal(0, 0.1, 40000).astype(np.float32)), 16000


class FakeMedia:
    """Stands for ``MediaFolder``; the videos in ``broken`` can't be read."""

    broken: dict[str, str]
    lengths: ClassVar[dict[str, Durations]] = {}
    decoded = 0
    extracted = pieces = False

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.root = settings["root"]
        self.missing_audio = settings["missing_audio"]

    def describe(self) -> str:
        return "videos from nowhere"

    def clip(self, name: str) -> FakeClip:
        return FakeClip(name)

    def problem(self, name: str, misfit: Callable[[Durations], str | None]) -> str | None:
        return self.broken.get(name) or misfit(self.lengths.get(name, Durations(2.5, 2.5)))


def video_grey(name: str) -> int:
    return {"00000001": 40, "-va2": 80, "00000003": 120, "00000009": 160}[name]


def write_questions(folder: Path, **splits: list) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, records in splits.items():
        (folder / f"avqa-{split}.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")


@pytest.fixture
def media(monkeypatch: pytest.MonkeyPatch) -> type[FakeMedia]:
    """The folder of videos that data sets of a test see."""
    fake = type("Media", (FakeMedia,), {"broken": {}})
    monkeypatch.setattr(FakeMedia, "lengths", {})
    monkeypatch.setattr("copl_avqa.dataset.MediaFolder", fake)
    return fake


@pytest.fixture
def root(tmp_path: Path, media: type[FakeMedia]) -> Path:
    """Root of a complete data set."""
    write_questions(tmp_path / "json_update", train=TRAIN, val=VAL, test=VAL)
    return tmp_path


@pytest.fixture
def rewrite(root: Path) -> Callable[..., Path]:
    """Replaces the list of a split: records, or any text; returns the file's path."""

    def write(split: str, content: list | str | bytes) -> Path:
        path = root / "json_update" / f"avqa-{split}.json"
        text = content if isinstance(content, (str, bytes)) else json.dumps(content)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write
