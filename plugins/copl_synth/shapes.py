"""Silhouettes as signed distances: negative inside, positive outside, in units of the object's radius."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Outline = Callable[[Array, Array], Array]
"""Maps coordinates (x, y), each (H, W) in object radii, to the signed distance (H, W) in object radii."""

MAX_REACH = 1.2
"""No outline has a point inside farther than this from its centre, in object radii."""


def _disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 1


def _square(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.82


def _triangle(x: Array, y: Array) -> Array:
    return np.maximum(0.866 * np.abs(x) - 0.5 * y, y) - 0.55


def _star(x: Array, y: Array) -> Array:
    # Fold the plane onto one half of one point, then measure to the edge from tip to notch.
    tip, notch, half = 1.05, 0.48, np.pi / 5
    angle = np.abs(np.mod(np.arctan2(x, y), 2 * half) - half)
    radius = np.hypot(x, y)
    across, along = radius * np.cos(angle), radius * np.sin(angle)
    edge = np.array([tip * np.cos(half) - notch, tip * np.sin(half)])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    return ((across - notch) * normal[0] + along * normal[1]).astype(np.float32)


def _cross(x: Array, y: Array) -> Array:
    a, b = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(a - 0.36, b - 1), np.maximum(a - 1, b - 0.36))


def _heart(x: Array, y: Array) -> Array:
    # A square standing on its corner, with a disc on each of its two upper sides.
    side = 0.52
    u, v = 0.7071 * (x - y + 0.25), 0.7071 * (-x - y + 0.25)
    square = np.maximum(np.abs(u), np.abs(v)) - side
    lobes = np.minimum(np.hypot(u - side, v), np.hypot(u, v - side)) - side
    return np.minimum(square, lobes)


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.73) - 0.27


def _moon(x: Array, y: Array) -> Array:
    return np.maximum(np.hypot(x, y) - 1, 0.78 - np.hypot(x - 0.6, y))


OUTLINES: dict[str, Outline] = {
    "disc": _disc,
    "star": _star,
    "triangle": _triangle,
    "square": _square,
    "cross": _cross,
    "heart": _heart,
    "ring": _ring,
    "moon": _moon,
}


def random_polygon(rng: np.random.Generator) -> Outline:
    """Draws an irregular convex polygon of four to six sides: background clutter, unlike every class.

    Args:
        rng: Source of the sides' directions and distances.

    Returns:
        The polygon's outline.
    """
    sides = int(rng.integers(4, 7))
    angles = 2 * np.pi * (np.arange(sides) + rng.uniform(-0.35, 0.35, sides)) / sides
    distances = rng.uniform(0.35, 1.0, sides)

    def outline(x: Array, y: Array) -> Array:
        edges = [x * np.cos(a) + y * np.sin(a) - d for a, d in zip(angles, distances, strict=True)]
        return np.maximum.reduce([*edges, np.hypot(x, y) - MAX_REACH]).astype(np.float32)

    return outline
