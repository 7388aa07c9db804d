"""A small AVSBench MS3 in its official layout."""

from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

CLIPS = [("-a_1", "train"), ("b.c_2", "val"), ("d", "test")]


def write_ms3(base: Path) -> Path:
    """Write the data set into ``base``, the folder of the CSV: (name, split) as in ``CLIPS``."""
    rng = np.random.default_rng(0)
    for name, split in CLIPS:
        frames, masks = base / "ms3_data/visual_frames" / name, base / "ms3_data/gt_masks" / split / name
        sounds = base / "ms3_data/audio_wav" / split
        for folder in (frames, masks, sounds):
            folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(sounds / f"{name}.wav", rng.normal(0, 0.1, 80000), 16000)
        for n in range(1, 6):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(frames / f"{name}.mp4_{n}.png")
            # Palette index 1, as MS3 stores it: divided by 255 it would be nearly nothing.
            mask = np.zeros((32, 32), np.uint8)
            mask[: 4 * n] = 1
            picture = Image.fromarray(mask).convert("P")
            picture.putpalette([0, 0, 0, 128, 0, 0])
            picture.save(masks / f"{name}_{n}.png")
    lines = ["video_id,split,extra", *(f"{name},{split},x" for name, split in CLIPS)]
    (base / "ms3_meta_data.csv").write_text("\n".join(lines) + "\n")
    return base
