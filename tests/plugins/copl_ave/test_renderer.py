import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from copl_ave.renderer import GROUND, EventTimeline, class_color
from copl_core.api import ConfigError

NAMES = (*(f"event {n}" for n in range(28)), "background")
LABEL = [28, 28, 4, 4, 4, 28, 28, 28, 28, 28]


def clip(predicted=tuple(LABEL), sure: float = 9.0, size=(64, 48)) -> tuple[list[Image.Image], dict, dict]:
    pictures = [Image.new("RGB", size, (10, 200, 10)) for _ in range(10)]
    sample = {"name": "-abc", "category": "event 4", "label": torch.tensor(LABEL)}
    logits = torch.nn.functional.one_hot(torch.tensor(predicted), 29).float() * sure
    return pictures, sample, {"logits": logits}


def near(image: Image.Image, color: tuple[int, int, int]) -> int:
    return int((np.abs(np.asarray(image).astype(int) - color).max(axis=2) < 3).sum())


def cells(image: Image.Image, color: tuple[int, int, int], width: int = 100) -> int:
    """Cells of a colour: long runs in some row of pixels, each counted once a block of rows."""
    same = np.abs(np.asarray(image).astype(int) - color).max(axis=2) < 3
    found, before = 0, 0
    for row in same:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        runs = int((edges[1::2] - edges[::2] == width).sum())
        found += max(0, runs - before)
        before = runs
    return found


def test_truth_and_prediction_are_rows_of_cells() -> None:
    predicted = [28, 4, 4, 4, 7, 28, 28, 28, 28, 28]
    image = EventTimeline(width=100).render(*clip(predicted, sure=1.0))

    assert cells(image, class_color(4, 28)) == 3 + 3
    assert cells(image, class_color(7, 28)) == 0 + 1
    assert cells(image, GROUND) == 7 + 6
    assert image.mode == "RGB"
    assert 1000 < image.width < 1100


@pytest.mark.parametrize(("size", "height"), [((1080, 1920), 178), ((60, 1200), 200), ((1200, 60), 25), ((64, 48), 75)])
def test_frames_of_any_shape_are_whole(size: tuple[int, int], height: int) -> None:
    usual = EventTimeline(width=100).render(*clip())
    image = EventTimeline(width=100).render(*clip(size=size))

    assert image.height - usual.height == pytest.approx(height - 75, abs=1)
    scale = min(100 / size[0], height / size[1])
    assert near(image, (10, 200, 10)) == pytest.approx(10 * size[0] * size[1] * scale**2, rel=0.1)


def test_bars_grow_with_confidence() -> None:
    color = class_color(4, 28)
    sizes = [near(EventTimeline().render(*clip([4] * 10, sure)), color) for sure in (0.1, 2.0, 4.0, 20.0)]

    assert sizes == sorted(set(sizes))
    # At probability 1 each of the ten bars is as long as its cell.
    assert sizes[-1] - near(EventTimeline().render(*clip([4] * 10, 0.0)), color) > 9 * 112 * 8 * 0.9


def test_frames_keep_their_shape() -> None:
    tall, wide = (EventTimeline(width=50).render(*clip(size=size)) for size in ((64, 128), (128, 64)))

    assert near(tall, (10, 200, 10)) == 10 * 50 * 100
    assert near(wide, (10, 200, 10)) == 10 * 50 * 25


def test_classes_have_colors_of_their_own() -> None:
    colors = np.array([class_color(number, 28) for number in range(29)])

    distance = np.abs(colors[:, None] - colors[None]).max(-1) + 255 * np.eye(29, dtype=int)
    assert distance.min() > 15
    assert class_color(4, 4) == GROUND


def test_truth_and_names_are_optional() -> None:
    pictures, sample, prediction = clip()
    full = EventTimeline().render(pictures, sample, prediction)

    bare = EventTimeline().render(pictures, {"name": "x"}, prediction)

    assert bare.height < full.height
    assert cells(bare, class_color(4, 28), 112) < cells(full, class_color(4, 28), 112)


def test_classes_are_named_at_the_bottom() -> None:
    parts = clip(range(10))
    long = {"classes": tuple(f"a long name of event number {n}" for n in range(29))}

    numbers, named, lines = (
        EventTimeline(width=64, names=names).render(*parts) for names in (None, {"classes": NAMES}, long)
    )

    assert numbers.size == named.size
    different = ImageChops.difference(numbers, named).getbbox()
    assert different is not None
    assert different[1] > numbers.height - 70
    assert lines.height > named.height  # too long for one line
    assert lines.width == named.width


def test_width_must_be_legible() -> None:
    with pytest.raises(ConfigError, match=r"renderer\.width is 8"):
        EventTimeline(width=8)
