"""A contact sheet of generated scenes, the sounding object outlined."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from copl_synth.classes import CLASSES
from copl_synth.draw import REFERENCE_SIZE
from copl_synth.scenes import render_scene

STREAM = 0x9EE0
"""First word of the preview scenes' seeds."""


def contact_sheet(
    *, seed: int = 0, rows: int = 4, columns: int = 8, zoom: int = 2, outline: bool = True
) -> Image.Image:
    """Lays out the third frame of `rows * columns` scenes; the sounding class runs through all classes in turn.

    Args:
        seed: Seed of the scenes.
        rows: Scenes down.
        columns: Scenes across.
        zoom: Screen pixels a scene pixel.
        outline: Whether to draw a white line, edged in black, around the sounding object's mask.

    Returns:
        The RGB sheet.
    """
    side, gap = REFERENCE_SIZE * zoom, 2 * zoom
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + gap) + gap), "white")
    for index in range(rows * columns):
        scene = render_scene(np.random.default_rng((STREAM, seed, index)), sounding_class=index % len(CLASSES))
        image = scene.frames[2].repeat(zoom, axis=0).repeat(zoom, axis=1)
        if outline:
            mask = scene.masks[2].repeat(zoom, axis=0).repeat(zoom, axis=1)
            image[_grown(mask, 3) & ~mask] = 0
            image[_grown(mask, 2) & ~mask] = 255
        row, column = divmod(index, columns)
        sheet.paste(Image.fromarray(image), (gap + column * (side + gap), gap + row * (side + gap)))
    return sheet


def _grown(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Grows a mask by one pixel to each of its four sides, `steps` times."""
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask
