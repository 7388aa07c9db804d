"""A small data set in AVSBench's official layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

CLIPS = [
    ("-abc_10000_15000", "race_car", "train"),
    ("d.e.f_0_5000", "horse_clip-clop", "train"),
    ("ghi_1", "race_car", "val"),
    ("jkl_2", "race_car", "test"),
]


def square(left: int, size: int = 32) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[8:20, left : left + 10] = 255
    return mask


def write_s4(base: Path, size: int = 32) -> Path:
    """Write the data set into ``base``, the folder of the CSV: (name, category, split) as in ``CLIPS``."""
    rng = np.random.default_rng(0)
    rows = ["name,start,category,split"]
    for name, category, split in CLIPS:
        rows.append(f"{name},1,{category},{split}")
        folder = Path(split) / category
        for kind in ("visual_frames", "gt_masks"):
            (base / "s4_data" / kind / folder / name).mkdir(parents=True)
        (base / "s4_data/audio_wav" / folder).mkdir(parents=True, exist_ok=True)
        soundfile.write(base / "s4_data/audio_wav" / folder / f"{name}.wav", rng.normal(0, 0.1, (80000, 2)), 16000)
        for n in range(1, 6):
            frame = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(frame).save(base / "s4_data/visual_frames" / folder / name / f"{name}_{n}.png")
            if n == 1 or split != "train":
                mask = Image.fromarray(square(2 * n, size))
                mask.save(base / "s4_data/gt_masks" / folder / name / f"{name}_{n}.png")
    (base / "s4_meta_data.csv").write_text("\n".join(rows) + "\n")
    return base


@pytest.fixture
def s4(tmp_path: Path) -> Path:
    """Root of a complete data set."""
    return write_s4(tmp_path / "Single-source")


@pytest.fixture
def rewrite(s4: Path) -> Callable[[str], Path]:
    """Replaces the list of clips, and returns its path."""

    def write(text: str) -> Path:
        (s4 / "s4_meta_data.csv").write_text(text)
        return s4 / "s4_meta_data.csv"

    return write
