"""Scenes: the masks are true, and the picture keeps secret which object sounds."""

from collections import Counter

import numpy as np
import pytest

from copl_synth.classes import CLASSES
from copl_synth.draw import Sprite, paint
from copl_synth.scenes import MIN_VISIBLE, Scene, render_scene
from copl_synth.shapes import OUTLINES

COUNT = 240


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [
        render_scene(np.random.default_rng((7, index)), sounding_class=index % len(CLASSES)) for index in range(COUNT)
    ]


def test_scenes_hold_three_or_four_objects_of_different_classes(scenes: list[Scene]) -> None:
    assert {len(scene.classes) for scene in scenes} == {3, 4}
    assert all(len(set(scene.classes)) == len(scene.classes) for scene in scenes)


def test_the_sounding_object_is_of_the_class_asked_for(scenes: list[Scene]) -> None:
    for index, scene in enumerate(scenes):
        assert scene.classes[scene.sounding] == index % len(CLASSES)


def test_every_object_shows_inside_every_frame_whatever_its_role(scenes: list[Scene]) -> None:
    for scene in scenes:
        for owners in scene.owners:
            areas = np.bincount(owners[owners >= 0], minlength=len(scene.classes))
            # The slimmest silhouette, a crescent of radius 11, has some 150 pixels.
            assert areas.min() > 150 * MIN_VISIBLE * 0.8


def test_the_mask_is_where_taking_the_object_away_changes_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(24):
        wanted = index % len(CLASSES)
        scene = render_scene(np.random.default_rng((8, index)), sounding_class=wanted)

        def paint_others(canvas: np.ndarray, sprite: Sprite, hidden: str = CLASSES[wanted].shape) -> object:
            return paint(canvas.copy() if sprite.outline is OUTLINES[hidden] else canvas, sprite)

        with monkeypatch.context() as patch:
            patch.setattr("copl_synth.scenes.paint", paint_others)
            without = render_scene(np.random.default_rng((8, index)), sounding_class=wanted)
        change = np.abs(scene.frames.astype(int) - without.frames.astype(int)).max(-1)
        assert (change[scene.masks] > 8).mean() > 0.97
        # Beyond one pixel of soft edge, only tips thinner than a pixel: a dozen pixels in five frames.
        assert (change[~grown(scene.masks)] > 0).sum() <= 12


def test_objects_move_but_slowly(scenes: list[Scene]) -> None:
    steps = np.array([np.linalg.norm(np.diff(centroids(scene), axis=0), axis=-1).max() for scene in scenes])
    assert 0.3 < np.median(steps) < 3
    assert (steps < 8).all()


def test_every_class_keeps_silent_as_often_as_any_other(scenes: list[Scene]) -> None:
    silent = Counter(kind for scene in scenes for kind in scene.classes if kind != scene.classes[scene.sounding])
    expected = sum(silent.values()) / len(CLASSES)
    chi_square = sum((silent[kind] - expected) ** 2 / expected for kind in range(len(CLASSES)))
    assert chi_square < 24.3  # 7 degrees of freedom, p = 0.001


def test_place_size_colour_depth_and_motion_do_not_tell_which_object_sounds(scenes: list[Scene]) -> None:
    looks = {True: [], False: []}
    for scene in scenes:
        for item in range(len(scene.classes)):
            looks[item == scene.sounding].append(look_of(scene, item))
    sounding, silent = np.array(looks[True]), np.array(looks[False])
    for column, name in enumerate(LOOK):
        assert distance_of_distributions(sounding[:, column], silent[:, column]) < critical(sounding, silent), name
    # The yardstick is short enough to notice objects 15 % larger in radius.
    area = LOOK.index("area")
    assert distance_of_distributions(1.15**2 * sounding[:, area], silent[:, area]) > critical(sounding, silent)


LOOK = ("area", "row", "column", "centrality", "depth", "speed", "red", "green", "blue", "contrast")


def look_of(scene: Scene, item: int) -> list[float]:
    """What can be seen of an object, in the order of `LOOK`."""
    masks = scene.owners == item
    centres = np.array([np.argwhere(mask).mean(0) for mask in masks])
    pixels = scene.frames[2][masks[2]] / 255
    row, column = centres[2]
    return [
        masks[2].sum(),
        row,
        column,
        np.hypot(row - 47.5, column - 47.5),
        item / (len(scene.classes) - 1),
        np.linalg.norm(np.diff(centres, axis=0), axis=-1).mean(),
        *pixels.mean(0),
        pixels.std(0).mean(),
    ]


def distance_of_distributions(first: np.ndarray, second: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance: the largest gap between two empirical distribution functions."""
    points = np.sort(np.concatenate([first, second]))
    ranks = [np.searchsorted(np.sort(sample), points, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(ranks[0] - ranks[1]).max())


def critical(first: np.ndarray, second: np.ndarray) -> float:
    """The Kolmogorov-Smirnov distance that one pair of samples in a thousand from one distribution exceeds."""
    return 1.95 * np.sqrt(1 / len(first) + 1 / len(second))


def centroids(scene: Scene) -> np.ndarray:
    """(5, 2) centre of mass of the sounding object's mask."""
    return np.array([np.argwhere(mask).mean(0) for mask in scene.masks])


def grown(masks: np.ndarray) -> np.ndarray:
    """Masks (T, H, W) grown by one pixel, corners included."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    height, width = masks.shape[1:]
    shifts = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.logical_or.reduce(shifts)
