"""Endless generated images with dense labels, for pretraining the nano encoder. No sound takes part.

Images and demo scenes share the drawing code, never the draws: image `index` of seed `seed` comes from the generator
seeded (STREAM, seed, index), where STREAM differs from that of `avs`. Compositions are wilder: four to twelve objects
that overlap at will, repeats allowed, cut by the border; some pictures are greyed, darkened or inverted.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from copl_synth.classes import CLASSES
from copl_synth.draw import REFERENCE_SIZE, paint, random_background, random_sprite, to_bytes
from copl_synth.shapes import OUTLINES

STREAM = 0x1A6E
"""First word of every training image's seed; `avs.STREAM` is another."""


class LabelledImage(NamedTuple):
    """An image and what is where.

    Attributes:
        image: (H, W, 3) RGB in 0..255.
        classes: (H, W) class index + 1 of the object seen at each pixel, 0 for background.
    """

    image: NDArray[np.uint8]
    classes: NDArray[np.uint8]


def training_image(seed: int, index: int, *, size: int = REFERENCE_SIZE) -> LabelledImage:
    """Draws one training image.

    Args:
        seed: Seed of the series.
        index: Position in the series.
        size: Height and width in pixels.

    Returns:
        The image with its class map; equal arguments give equal pixels.
    """
    rng = np.random.default_rng((STREAM, seed, index))
    scale = size / REFERENCE_SIZE
    canvas = random_background(rng, size=size)
    labels = np.zeros((size, size), dtype=np.uint8)
    for _ in range(int(rng.integers(4, 13))):
        kind = int(rng.integers(len(CLASSES)))
        sprite = random_sprite(
            rng,
            outline=OUTLINES[CLASSES[kind].shape],
            texture=CLASSES[kind].texture,
            x=rng.uniform(0, size),
            y=rng.uniform(0, size),
            radius=rng.uniform(10, 22) * scale,
        )
        window, covered = paint(canvas, sprite)
        labels[window][covered] = kind + 1
    if rng.random() < 0.4:
        canvas = _develop(rng, canvas)
    return LabelledImage(to_bytes(canvas), labels)


def training_images(seed: int, *, size: int = REFERENCE_SIZE) -> Iterator[LabelledImage]:
    """Yields `training_image(seed, 0)`, `training_image(seed, 1)`, ... without end.

    Args:
        seed: Seed of the series.
        size: Height and width in pixels.

    Yields:
        Images with their class maps.
    """
    for index in itertools.count():
        yield training_image(seed, index, size=size)


def _develop(rng: np.random.Generator, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Varies colour, contrast, brightness and noise over far more than the demo's scenes show."""
    if rng.random() < 0.5:  # grey, as a spectrogram shown to the same encoder is
        weights = rng.dirichlet(np.ones(3)).astype(np.float32)
        canvas = np.repeat((canvas @ weights)[..., None], 3, axis=-1)
    if rng.random() < 0.4:
        canvas = 1 - canvas
    contrast, brightness = rng.uniform(0.4, 1.3), rng.uniform(-0.2, 0.2)
    noise = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.06))
    return (canvas - 0.5) * np.float32(contrast) + np.float32(0.5 + brightness) + noise
