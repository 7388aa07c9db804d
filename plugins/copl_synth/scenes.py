"""Scenes: several moving objects, one of which sounds. Nothing in the picture tells which."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from copl_synth.classes import CLASSES
from copl_synth.draw import REFERENCE_SIZE, Sprite, paint, random_background, random_sprite, to_bytes
from copl_synth.shapes import OUTLINES

FRAMES = 5
"""Frames of a clip, one a second."""

MIN_VISIBLE = 0.65
"""Least share of every object, sounding or not, that shows in every frame."""

RADIUS = (11.0, 20.0)
"""Range of the objects' radii in reference pixels."""

_SPEED = 2.2  # reference pixels a frame, at most, along each axis
_SPIN = 0.12  # radians a frame, at most


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A rendered clip.

    Attributes:
        frames: (5, H, W, 3) RGB in 0..255.
        owners: (5, H, W) index of the object seen at each pixel, in drawing order (0 lies at the back); -1 for none.
        classes: Class index of each object, in drawing order.
        sounding: Index of the sounding object, in drawing order.
    """

    frames: NDArray[np.uint8]
    owners: NDArray[np.int8]
    classes: tuple[int, ...]
    sounding: int

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(5, H, W) visible pixels of the sounding object."""
        return self.owners == self.sounding


def render_scene(rng: np.random.Generator, *, sounding_class: int, size: int = REFERENCE_SIZE) -> Scene:
    """Draws a scene in which an object of the given class sounds among others of other classes.

    The sounding class only enters the shuffled list of classes; everything after that is blind to it, so place, size,
    motion, colour and depth have one distribution for all objects of a scene.

    Args:
        rng: Source of the scene.
        sounding_class: Index into `CLASSES`.
        size: Height and width of the frames in pixels.

    Returns:
        The scene.
    """
    others = [index for index in range(len(CLASSES)) if index != sounding_class]
    company = rng.choice(others, size=int(rng.integers(2, 4)), replace=False)
    classes = tuple(int(index) for index in rng.permutation([sounding_class, *company]))
    background = random_background(rng, size=size)
    while True:
        tracks = _random_tracks(rng, classes, size=size)
        if tracks is None:
            continue
        rendered = [_render_frame(background, [track[step] for track in tracks]) for step in range(FRAMES)]
        if all(shown >= MIN_VISIBLE for _, _, frame_shown in rendered for shown in frame_shown):
            break
    noise = rng.normal(0, 0.015, (FRAMES, size, size, 3)).astype(np.float32)
    return Scene(
        frames=np.stack([to_bytes(canvas + grain) for (canvas, _, _), grain in zip(rendered, noise, strict=True)]),
        owners=np.stack([owners for _, owners, _ in rendered]),
        classes=classes,
        sounding=classes.index(sounding_class),
    )


def _random_tracks(rng: np.random.Generator, classes: tuple[int, ...], *, size: int) -> list[list[Sprite]] | None:
    """Draws each object at each frame, [object][frame]; None if they leave the picture or crowd each other."""
    scale = size / REFERENCE_SIZE
    steps = np.arange(FRAMES) - FRAMES // 2
    count = len(classes)
    radii = rng.uniform(*RADIUS, count) * scale
    # Centres at each frame, (count, FRAMES, 2) as (x, y).
    centres = (
        rng.uniform(0, size, (count, 1, 2)) + steps[None, :, None] * rng.uniform(-1, 1, (count, 1, 2)) * _SPEED * scale
    )
    margin = radii[:, None, None] * 0.95
    if (centres < margin).any() or (centres > size - margin).any():
        return None
    gaps = np.linalg.norm(centres[:, None] - centres[None, :], axis=-1).min(-1)
    crowded = gaps < 0.72 * (radii[:, None] + radii[None, :])
    if crowded[~np.eye(count, dtype=bool)].any():
        return None

    tracks = []
    for item, index in enumerate(classes):
        look = CLASSES[index]
        sprite = random_sprite(
            rng, outline=OUTLINES[look.shape], texture=look.texture, x=0, y=0, radius=float(radii[item])
        )
        spin = rng.uniform(-_SPIN, _SPIN)
        tracks.append(
            [
                replace(sprite, x=float(x), y=float(y), angle=sprite.angle + spin * float(step))
                for step, (x, y) in zip(steps, centres[item], strict=True)
            ]
        )
    return tracks


def _render_frame(
    background: NDArray[np.float32], sprites: list[Sprite]
) -> tuple[NDArray[np.float32], NDArray[np.int8], list[float]]:
    """Paints the sprites back to front; returns the picture, who owns each pixel, and the share of each that shows."""
    canvas = background.copy()
    owners = np.full(canvas.shape[:2], -1, dtype=np.int8)
    areas = []
    for index, sprite in enumerate(sprites):
        window, covered = paint(canvas, sprite)
        owners[window][covered] = index
        areas.append(int(covered.sum()))
    return canvas, owners, [float((owners == index).sum() / area) for index, area in enumerate(areas)]
