"""A generated data set to try the task with: python -m template_plugin.example_data data/template_name.

A disc grows or shrinks while a tone rises or falls. The class is which of the four pairs it is, so neither picture nor
sound says it alone.
"""

import csv
import sys
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from template_plugin.dataset import FRAMES

RATE = 16000
SIZE = 96
CLASSES = [f"disc_{disc}_tone_{tone}" for disc, tone in product(("grows", "shrinks"), ("rises", "falls"))]


def write_clips(root: Path, clips: int = 8, seed: int = 0) -> None:
    """Write three splits in the form that the data set reads.

    Args:
        root: Made if missing.
        clips: Clips in each split.
        seed: Of colours and places.
    """
    generator = np.random.default_rng(seed)
    for split in ("train", "val", "test"):
        rows = []
        for number in range(clips):
            name, label = f"{split}_{number}", CLASSES[number % len(CLASSES)]
            write_clip(root, name, label, generator)
            rows.append((name, label))
        with (root / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("name", "class"), *rows])


def write_clip(root: Path, name: str, label: str, generator: np.random.Generator) -> None:
    """Write the frames and the sound of one clip."""
    steps = np.linspace(0, 1, FRAMES) if "grows" in label else np.linspace(1, 0, FRAMES)
    color = tuple(generator.integers(80, 256, 3).tolist())
    x, y = generator.uniform(0.4, 0.6, 2) * SIZE
    (root / "frames" / name).mkdir(parents=True, exist_ok=True)
    for t, step in enumerate(steps):
        radius = (0.1 + 0.25 * step) * SIZE
        picture = Image.new("RGB", (SIZE, SIZE), (24, 24, 28))
        ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
        picture.save(root / "frames" / name / f"{t}.png")
    hertz = np.linspace(300, 2400, FRAMES * RATE)
    hertz = hertz if "rises" in label else hertz[::-1]
    (root / "sound").mkdir(exist_ok=True)
    soundfile.write(root / "sound" / f"{name}.wav", 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE), RATE)


if __name__ == "__main__":
    write_clips(Path(sys.argv[1]), clips=64)
