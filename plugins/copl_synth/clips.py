"""Clips of ten seconds: objects that drift a little about fixed places, drawn twice a second."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from copl_synth.classes import CLASSES
from copl_synth.draw import REFERENCE_SIZE, Sprite, paint, random_background, random_sprite, to_bytes
from copl_synth.media import write_mp4
from copl_synth.shapes import OUTLINES

SECONDS = 10
"""Length of a clip."""

PICTURES = 2
"""Pictures drawn a second; each is shown for half a second."""

FPS = 4
"""Frames a second of the video."""

_SPIN = 0.05  # radians a picture, at most


@dataclass(frozen=True, kw_only=True)
class Place:
    """An object and where it lies.

    Attributes:
        kind: Index into `CLASSES`.
        x: Column of its resting place, in reference pixels.
        y: Row of its resting place, in reference pixels.
        radius: Radius in reference pixels.
        sway: How far it drifts from its resting place along each axis, in reference pixels.
        shown: In which seconds it is to be seen.
    """

    kind: int
    x: float
    y: float
    radius: float
    sway: float
    shown: tuple[bool, ...] = (True,) * SECONDS


def draw_clip(rng: np.random.Generator, places: Sequence[Place], *, size: int) -> NDArray[np.uint8]:
    """Draws the pictures of a clip, the objects in the order given, the last in front.

    Background and grain are drawn once and stand still.

    Args:
        rng: Source of the background, and of colours, rotation and motion of the objects.
        places: The objects.
        size: Height and width in pixels.

    Returns:
        (20, size, size, 3) RGB.
    """
    background = random_background(rng, size=size)
    background += rng.normal(0, 0.015, background.shape).astype(np.float32)
    tracks = [_track(rng, place, scale=size / REFERENCE_SIZE) for place in places]
    pictures = np.empty((SECONDS * PICTURES, size, size, 3), np.uint8)
    for step in range(len(pictures)):
        canvas = background.copy()
        for place, track in zip(places, tracks, strict=True):
            if place.shown[step // PICTURES]:
                paint(canvas, track[step])
        pictures[step] = to_bytes(canvas)
    return pictures


def _track(rng: np.random.Generator, place: Place, *, scale: float) -> list[Sprite]:
    """An object at each picture of the clip."""
    look = CLASSES[place.kind]
    sprite = random_sprite(
        rng, outline=OUTLINES[look.shape], texture=look.texture, x=0, y=0, radius=place.radius * scale
    )
    steps = np.arange(SECONDS * PICTURES)
    pace, phase = rng.uniform(0.3, 0.5, (2, 1)), rng.uniform(0, 2 * np.pi, (2, 1))  # radians a picture
    across, down = place.sway * np.sin(pace * steps + phase)
    spin = rng.uniform(-_SPIN, _SPIN)
    return [
        replace(sprite, x=(place.x + dx) * scale, y=(place.y + dy) * scale, angle=sprite.angle + spin * step)
        for step, dx, dy in zip(steps.tolist(), across.tolist(), down.tolist(), strict=True)
    ]


def write_clip(path: str | os.PathLike[str], pictures: NDArray[np.uint8], samples: NDArray[np.int16]) -> None:
    """Writes a clip's MP4 file.

    Args:
        path: File to write.
        pictures: (20, H, W, 3) RGB.
        samples: (160000,) samples at 16 kHz.
    """
    write_mp4(path, pictures, samples, fps=FPS, hold=FPS // PICTURES)


def require_even(size: int) -> None:
    """Refuses frames that video codecs with halved colour resolution cannot hold.

    Args:
        size: Height and width in pixels.

    Raises:
        ValueError: It is odd.
    """
    if size % 2:
        raise ValueError(f"size must be even, not {size}: videos store colour at half the resolution")
