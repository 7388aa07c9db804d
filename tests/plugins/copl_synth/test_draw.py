"""Silhouettes, textures and training images."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from copl_synth import ave, avqa, avs, images, preview
from copl_synth.classes import CLASSES
from copl_synth.draw import Sprite, paint, random_background, random_colours, random_sprite
from copl_synth.images import training_image, training_images
from copl_synth.shapes import MAX_REACH, OUTLINES, random_polygon
from copl_synth.textures import TEXTURES

GRID = np.meshgrid(np.linspace(-1.3, 1.3, 400, dtype=np.float32), np.linspace(-1.3, 1.3, 400, dtype=np.float32))
CELL = (2.6 / 399) ** 2


def sprite(**changes: object) -> Sprite:
    base = random_sprite(np.random.default_rng(0), outline=OUTLINES["disc"], texture="ramp", x=40, y=30, radius=12)
    return replace(base, **changes)


def test_classes_differ_in_shape_texture_and_sound() -> None:
    for attribute in ("shape", "texture", "sound", "name"):
        assert len({getattr(item, attribute) for item in CLASSES}) == 8


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("disc", np.pi),
        ("square", 1.64**2),
        ("cross", 2 * 2 * 0.72 - 0.72**2),
        ("ring", np.pi * (1 - 0.46**2)),
        ("triangle", 3 * np.sqrt(3) * 0.55**2),
        ("star", 5 * 1.05 * 0.48 * np.sin(np.pi / 5)),
        ("heart", 1.04**2 + np.pi * 0.52**2),
    ],
)
def test_silhouettes_have_the_area_of_their_geometry(shape: str, area: float) -> None:
    measured = (OUTLINES[shape](*GRID) < 0).sum() * CELL
    assert measured == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize("shape", OUTLINES)
def test_silhouettes_stay_within_the_window_they_are_painted_in(shape: str) -> None:
    x, y = GRID
    assert (OUTLINES[shape](x, y)[np.hypot(x, y) > MAX_REACH] > 0).all()


def test_polygons_of_the_background_are_convex_and_stay_within_the_window() -> None:
    for seed in range(20):
        inside = random_polygon(np.random.default_rng(seed))(*GRID) < 0
        assert not inside[np.hypot(*GRID) > MAX_REACH].any()
        middles = inside.any(1)
        # Along every row a convex set is one run.
        assert (np.abs(np.diff(inside[middles].astype(int), axis=1)).sum(1) <= 2).all()


@pytest.mark.parametrize("texture", TEXTURES)
def test_textures_use_both_tones_and_nothing_beyond(texture: str) -> None:
    values = TEXTURES[texture](*GRID, 1.6, 0.4)
    assert values.min() >= 0
    assert values.max() <= 1
    assert 0.15 < values.mean() < 0.85
    assert values.std() > 0.2


def test_colours_keep_their_distance() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        first, second = random_colours(rng, contrast=0.7)
        assert np.linalg.norm(first - second) >= 0.7


def test_paint_covers_the_disc_it_is_told_and_leaves_the_rest() -> None:
    canvas = np.full((96, 96, 3), 0.5, dtype=np.float32)
    window, covered = paint(canvas, sprite())
    mask = np.zeros((96, 96), dtype=bool)
    mask[window] = covered
    rows, columns = np.mgrid[:96, :96]
    distance = np.hypot(rows - 30, columns - 40)
    assert mask[distance < 11.9].all()
    assert not mask[distance > 12.1].any()
    assert (canvas[distance > 13] == 0.5).all()


def test_paint_turns_with_the_angle() -> None:
    masks = []
    for angle in (0.0, np.pi / 2):
        canvas = np.zeros((96, 96, 3), dtype=np.float32)
        mask = np.zeros((96, 96), dtype=bool)
        window, covered = paint(canvas, sprite(outline=OUTLINES["moon"], x=47.5, y=47.5, angle=angle))
        mask[window] = covered
        masks.append(mask)
    assert (masks[1] == np.rot90(masks[0], -1)).mean() > 0.998
    assert (masks[1] != masks[0]).mean() > 0.01


def test_paint_half_opaque_mixes_half_and_half() -> None:
    opaque, half = np.zeros((96, 96, 3), dtype=np.float32), np.zeros((96, 96, 3), dtype=np.float32)
    paint(opaque, sprite())
    paint(half, sprite(opacity=0.5))
    np.testing.assert_allclose(half, opaque / 2, atol=1e-6)


def test_a_sprite_off_the_canvas_paints_nothing() -> None:
    canvas = np.zeros((96, 96, 3), dtype=np.float32)
    _, covered = paint(canvas, sprite(x=-40.0, y=200.0))
    assert covered.size == 0
    assert not canvas.any()


def test_backgrounds_are_busy_and_no_two_alike() -> None:
    first, second = (random_background(np.random.default_rng(seed), size=96) for seed in (0, 1))
    assert min(first.std(), second.std()) > 0.05
    assert np.abs(first - second).mean() > 0.05


def test_training_images_are_endless_reproducible_and_labelled() -> None:
    for index, drawn in enumerate(itertools.islice(training_images(5), 12)):
        again = training_image(5, index)
        assert (drawn.image == again.image).all()
        assert (drawn.classes == again.classes).all()
        assert drawn.image.shape == (96, 96, 3)
        assert drawn.classes.shape == (96, 96)
        assert drawn.classes.max() <= len(CLASSES)
    assert (training_image(5, 0).image != training_image(6, 0).image).mean() > 0.5


def test_training_images_show_every_class_about_equally_often() -> None:
    counts = np.zeros(len(CLASSES) + 1)
    for index in range(300):
        counts[np.unique(training_image(1, index).classes)] += 1
    assert counts[1:].min() > 0.6 * counts[1:].max()


def test_training_images_and_demo_scenes_draw_from_different_streams() -> None:
    assert len({avs.STREAM, ave.STREAM, avqa.STREAM, images.STREAM, preview.STREAM}) == 5
