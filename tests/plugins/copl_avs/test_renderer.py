import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from copl_avs.renderer import LEGIBLE, PREDICTION, TRUTH, MaskOverlay
from copl_core.api import ConfigError


def clip(size: int = 224, valid: int = 5) -> tuple[list[Image.Image], dict, dict]:
    pictures = [Image.new("RGB", (size, size), (90, 90, 110)) for _ in range(5)]
    mask = torch.zeros(5, 1, size, size)
    mask[:valid, :, size // 4 : size // 2, size // 4 : size // 2] = 1
    sample = {
        "name": "abc_1000",
        "category": "race_car",
        "mask": mask,
        "mask_valid": torch.arange(5) < valid,
        "audio": torch.randn(5, 3, 64, 32, generator=torch.Generator().manual_seed(0)),
    }
    return pictures, sample, {"logits": (mask.roll(size // 8, dims=3) - 0.5) * 8}


def near(image: Image.Image, color: tuple[int, int, int]) -> int:
    return int((np.abs(np.asarray(image).astype(int) - color).max(axis=2) < 3).sum())


def test_size_holds_a_row_of_five_and_three_rows() -> None:
    image = MaskOverlay().render(*clip())

    assert image.mode == "RGB"
    assert 5 * 224 <= image.width < 5 * 240
    assert 2.5 * 224 <= image.height < 3.5 * 224


def test_small_frames_are_enlarged() -> None:
    assert MaskOverlay().render(*clip(32)).width >= 5 * LEGIBLE
    assert MaskOverlay(scale=2).render(*clip(112)).size == MaskOverlay().render(*clip(112)).size
    assert MaskOverlay(scale=1).render(*clip(112)).width < 5 * 130


@pytest.mark.parametrize("size", [(40, 900), (900, 40)])
def test_long_frames_are_not_enlarged_beyond_measure(size: tuple[int, int]) -> None:
    _, sample, prediction = clip()
    image = MaskOverlay().render([Image.new("RGB", size)] * 5, sample, prediction)
    assert image.width < 5 * 1000
    assert image.height < 4 * 1000


def test_prediction_changes_pixels_below_the_truth_only() -> None:
    pictures, sample, prediction = clip()
    empty = {"logits": torch.full_like(prediction["logits"], -9)}

    a, b = (MaskOverlay().render(pictures, sample, p) for p in (prediction, empty))

    left, top, _, bottom = ImageChops.difference(a.crop((0, 40, *a.size)), b.crop((0, 40, *b.size))).getbbox()
    assert top > 224
    assert bottom < 2.5 * 224 + 40
    assert left > 0
    assert near(a, PREDICTION) > near(b, PREDICTION)
    assert near(b, TRUTH) > 0


def test_frames_without_a_mask_are_left_alone() -> None:
    renderer = MaskOverlay()

    assert near(renderer.render(*clip(valid=1)), TRUTH) < near(renderer.render(*clip()), TRUTH)


def test_sound_and_truth_are_optional() -> None:
    pictures, sample, prediction = clip()
    full = MaskOverlay().render(pictures, sample, prediction)
    waveform = MaskOverlay().render(pictures, {**sample, "audio": torch.zeros(5, 16000)}, prediction)
    bare = MaskOverlay().render(pictures, {"name": "abc"}, prediction)

    assert bare.height < waveform.height < full.height
    assert near(bare, TRUTH) == 0 < near(bare, PREDICTION)


def test_scale_must_be_positive() -> None:
    with pytest.raises(ConfigError, match=r"renderer\.scale is 0"):
        MaskOverlay(scale=0)
