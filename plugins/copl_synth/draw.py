"""Painting textured silhouettes and cluttered backgrounds onto float images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from copl_synth.shapes import MAX_REACH, Outline, random_polygon
from copl_synth.textures import TEXTURES

Array = NDArray[np.float32]

REFERENCE_SIZE = 96
"""All lengths below are pixels of an image this wide; `size / REFERENCE_SIZE` scales them."""


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A textured silhouette and where it lies.

    Attributes:
        outline: Its silhouette.
        texture: Key of `textures.TEXTURES`.
        x: Column of its centre in pixels.
        y: Row of its centre in pixels.
        radius: Radius in pixels.
        angle: Rotation in radians.
        frequency: Texture cycles a radius.
        phase: Texture phase in radians.
        colours: (2, 3) RGB in 0..1, the texture's two tones.
        light: Direction in radians from which the shading falls.
        opacity: 1 hides what lies behind, less lets it through.
    """

    outline: Outline
    texture: str
    x: float
    y: float
    radius: float
    angle: float
    frequency: float
    phase: float
    colours: Array
    light: float
    opacity: float = 1.0


def random_colours(rng: np.random.Generator, *, contrast: float = 0.55) -> Array:
    """Draws two RGB colours a given distance apart, so that the texture between them shows.

    Args:
        rng: Source of the colours.
        contrast: Least Euclidean distance of the two, in units of a channel's range.

    Returns:
        (2, 3) RGB in 0..1.
    """
    while True:
        colours = rng.uniform(0.03, 0.97, (2, 3)).astype(np.float32)
        if np.linalg.norm(colours[0] - colours[1]) >= contrast:
            return colours


def random_sprite(
    rng: np.random.Generator, *, outline: Outline, texture: str, x: float, y: float, radius: float, opacity: float = 1.0
) -> Sprite:
    """Gives a silhouette at a known place a random rotation, pattern, colouring and light.

    Args:
        rng: Source of everything not given.
        outline: Its silhouette.
        texture: Key of `textures.TEXTURES`.
        x: Column of its centre in pixels.
        y: Row of its centre in pixels.
        radius: Radius in pixels.
        opacity: 1 hides what lies behind, less lets it through.

    Returns:
        The sprite.
    """
    return Sprite(
        outline=outline,
        texture=texture,
        x=x,
        y=y,
        radius=radius,
        angle=rng.uniform(0, 2 * np.pi),
        frequency=rng.uniform(1.3, 2.1),
        phase=rng.uniform(0, 2 * np.pi),
        colours=random_colours(rng),
        light=rng.uniform(0, 2 * np.pi),
        opacity=opacity,
    )


def paint(canvas: Array, sprite: Sprite) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Paints a sprite onto a canvas, in place.

    Args:
        canvas: (H, W, 3) RGB in 0..1.
        sprite: What to paint.

    Returns:
        The window (rows, columns) it was painted in, and the pixels it covers there, (h, w).
    """
    height, width = canvas.shape[:2]
    reach = MAX_REACH * sprite.radius + 1
    window = (
        slice(max(0, int(sprite.y - reach)), max(0, min(height, int(sprite.y + reach) + 2))),
        slice(max(0, int(sprite.x - reach)), max(0, min(width, int(sprite.x + reach) + 2))),
    )
    rows = (np.arange(window[0].start, window[0].stop, dtype=np.float32) - np.float32(sprite.y))[:, None]
    columns = (np.arange(window[1].start, window[1].stop, dtype=np.float32) - np.float32(sprite.x))[None, :]
    cosine, sine = np.float32(np.cos(sprite.angle)), np.float32(np.sin(sprite.angle))
    u = (columns * cosine + rows * sine) / np.float32(sprite.radius)
    v = (rows * cosine - columns * sine) / np.float32(sprite.radius)

    # One pixel of soft edge around distance 0 is the anti-aliasing.
    cover = np.clip(0.5 - sprite.outline(u, v) * np.float32(sprite.radius), 0, 1)
    tone = TEXTURES[sprite.texture](u, v, sprite.frequency, sprite.phase)[..., None]
    shade = 1 - 0.18 * (1 + np.clip(u * np.cos(sprite.light) + v * np.sin(sprite.light), -1, 1))[..., None]
    colour = (sprite.colours[0] * (1 - tone) + sprite.colours[1] * tone) * shade
    weight = np.float32(sprite.opacity) * cover[..., None]
    canvas[window] += weight * (colour - canvas[window])
    return window, cover > 0.5


def random_background(rng: np.random.Generator, *, size: int) -> Array:
    """Draws a background as busy as the objects: a colour field under textured patches, bars and grain.

    The patches wear the objects' own textures and colours on shapes of no class, so neither betrays an object.

    Args:
        rng: Source of the background.
        size: Height and width in pixels.

    Returns:
        (size, size, 3) RGB, about 0..1.
    """
    scale = size / REFERENCE_SIZE
    cells = int(rng.integers(2, 7))
    # Patches of one prevailing colour: muted enough that the objects remain the liveliest thing in most scenes.
    hues = rng.uniform(0.15, 0.85, (1, 1, 3)) + rng.uniform(-0.3, 0.3, (cells, cells, 3))
    field = Image.fromarray((np.clip(hues, 0, 1) * 255).astype(np.uint8))
    canvas = np.asarray(field.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    for _ in range(int(rng.integers(5, 11))):
        radius = rng.uniform(6, 20) * scale
        sprite = random_sprite(
            rng,
            outline=random_polygon(rng),
            texture=str(rng.choice(list(TEXTURES))),
            x=rng.uniform(0, size),
            y=rng.uniform(0, size),
            radius=radius,
            opacity=rng.uniform(0.35, 0.95),
        )
        paint(canvas, sprite)
    for _ in range(int(rng.integers(1, 5))):
        _draw_bar(rng, canvas, width=rng.uniform(0.8, 2.5) * scale)
    return canvas + _grain(rng, size=size, cells=int(rng.integers(size // 4, size)))


def _draw_bar(rng: np.random.Generator, canvas: Array, *, width: float) -> None:
    """Draws one straight bar right across the canvas, in place."""
    size = canvas.shape[0]
    angle, offset = rng.uniform(0, np.pi), rng.uniform(0, size)
    steps = np.arange(size, dtype=np.float32)
    distance = np.abs((steps[None] - size / 2) * np.cos(angle) + (steps[:, None] - offset) * np.sin(angle))
    cover = np.clip(width / 2 + 0.5 - distance, 0, 1).astype(np.float32)[..., None]
    canvas += rng.uniform(0.4, 1) * cover * (rng.uniform(0, 1, 3).astype(np.float32) - canvas)


def _grain(rng: np.random.Generator, *, size: int, cells: int) -> Array:
    """Grey noise whose grain is `size / cells` pixels wide, (size, size, 1)."""
    noise = Image.fromarray(
        rng.standard_normal((cells, cells)).astype(np.float32) * np.float32(rng.uniform(0.01, 0.06))
    )
    return np.asarray(noise.resize((size, size), Image.Resampling.BILINEAR))[..., None]


def to_bytes(canvas: Array) -> NDArray[np.uint8]:
    """Rounds an image in 0..1 to 8 bits, cutting what lies outside.

    Args:
        canvas: (H, W, 3) RGB in 0..1.

    Returns:
        (H, W, 3) RGB in 0..255.
    """
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)
