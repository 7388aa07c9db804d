"""Two-tone surface patterns: each maps object coordinates to the share of the second colour, 0 to 1."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Texture = Callable[[Array, Array, float, float], Array]
"""Maps (x, y, frequency, phase) to (H, W) in 0..1; x, y (H, W) in radii, frequency in cycles a radius, phase in rad."""

_TURN = 2 * np.pi


def _edge(wave: Array) -> Array:
    """Turns a wave in -1..1 into a two-tone pattern whose steps stay soft enough not to alias."""
    return 0.5 + 0.5 * np.clip(2.5 * wave, -1, 1)


def _rings(x: Array, y: Array, frequency: float, phase: float) -> Array:
    return _edge(np.sin(_TURN * frequency * np.hypot(x, y) + phase))


def _grid(x: Array, y: Array, frequency: float, phase: float) -> Array:
    lines = np.maximum(np.cos(_TURN * frequency * x + phase), np.cos(_TURN * frequency * y + phase))
    return _edge(lines - 0.6)


def _stripes(x: Array, y: Array, frequency: float, phase: float) -> Array:
    return _edge(np.sin(_TURN * frequency * x + phase))


def _checks(x: Array, y: Array, frequency: float, phase: float) -> Array:
    return _edge(2 * np.sin(0.8 * _TURN * frequency * x + phase) * np.sin(0.8 * _TURN * frequency * y + phase))


def _dots(x: Array, y: Array, frequency: float, phase: float) -> Array:
    bumps = np.cos(_TURN * frequency * x + phase) + np.cos(_TURN * frequency * y + phase)
    return _edge(bumps - 0.7)


def _ramp(x: Array, y: Array, frequency: float, phase: float) -> Array:
    return np.clip(0.5 + 0.55 * (x * np.cos(phase) + y * np.sin(phase)), 0, 1)


def _wedges(x: Array, y: Array, frequency: float, phase: float) -> Array:
    return _edge(np.sin(round(3.2 * frequency) * np.arctan2(y, x) + phase))


def _waves(x: Array, y: Array, frequency: float, phase: float) -> Array:
    return _edge(np.sin(_TURN * frequency * x + phase + 1.8 * np.sin(0.75 * _TURN * frequency * y)))


TEXTURES: dict[str, Texture] = {
    "rings": _rings,
    "grid": _grid,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "ramp": _ramp,
    "wedges": _wedges,
    "waves": _waves,
}
