import numpy as np
import pytest
import torch
from PIL import Image

from copl_avs.masks import check_size, read_mask, resize_mask
from copl_core.api import DataError


def palette(colors: list[int]) -> Image.Image:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).convert("P")
    image = Image.frombytes("P", (2, 2), bytes([0, 1, 1, 0]))
    image.putpalette(colors)
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.array([[0, 255], [1, 0]], np.uint8)),
        Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1"),
        Image.fromarray(np.array([[0, 300], [1, 0]], np.uint16)),
        Image.fromarray(np.array([[0, 1], [7, 0]], np.uint8)).convert("RGB"),
        Image.fromarray(np.array([[0, 255], [9, 0]], np.uint8)).convert("RGBA"),
        palette([0, 0, 0, 1, 1, 1]),
        palette([0, 0, 0, 200, 0, 0]),
    ],
    ids=["L", "1", "I;16", "RGB", "RGBA", "P faint", "P red"],
)
def test_any_mode_becomes_zero_and_one(tmp_path, image: Image.Image) -> None:
    image.save(tmp_path / "m.png")

    mask = read_mask(tmp_path / "m.png")

    assert mask.dtype == torch.float32
    assert mask.tolist() == [[[0, 1], [1, 0]]]


def test_palette_is_read_by_colour_not_by_index(tmp_path) -> None:
    palette([255, 255, 255, 0, 0, 0]).save(tmp_path / "m.png")

    assert read_mask(tmp_path / "m.png").tolist() == [[[1, 0], [0, 1]]]


def test_resize_keeps_two_levels() -> None:
    picture = resize_mask(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), (4, 4))

    assert np.asarray(picture).tolist() == np.kron([[0, 1], [1, 0]], np.ones((2, 2))).astype(bool).tolist()


def test_sizes_that_differ_name_the_setting() -> None:
    check_size(torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8))

    with pytest.raises(
        DataError, match=r"masks are 64x64 but the head predicts 32x32: set task\.head\.output_size to 64"
    ):
        check_size(torch.zeros(1, 32, 32), torch.zeros(1, 64, 64))
