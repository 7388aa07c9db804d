import contextlib

import numpy as np
import pytest
import torch
from PIL import Image

from copl_core.api import DataError
from copl_core.contracts import ImageSpec
from copl_core.data import open_image, read_image, to_input

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_same_size_is_only_normalised() -> None:
    image = noise(20, 30)

    result = to_input(image, ImageSpec(height=20, width=30))

    expected = (np.asarray(image) / 255 - MEAN) / STD
    assert result.shape == (3, 20, 30)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def cubic(t: float, a: float = -0.75) -> float:
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def cubic_matrix(source: int, target: int) -> np.ndarray:
    matrix = np.zeros((target, source))
    for i in range(target):
        x = (i + 0.5) * source / target - 0.5
        for tap in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
            matrix[i, min(max(tap, 0), source - 1)] += cubic(x - tap)
    return matrix


def test_resize_is_bicubic_without_antialias() -> None:
    image = noise(28, 14)

    result = to_input(image, ImageSpec(height=12, width=20))

    pixels = (np.asarray(image) / 255 - MEAN) / STD
    expected = np.einsum("ih,jw,hwc->cij", cubic_matrix(28, 12), cubic_matrix(14, 20), pixels)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(224, 224), (360, 640), (48, 64)])
def test_result_is_that_of_normalising_first(size: tuple[int, int]) -> None:
    image = noise(*size)

    result = to_input([image, image], ImageSpec(height=192, width=192))

    pixels = torch.tensor((np.asarray(image) / 255 - MEAN) / STD).float().permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(pixels, (192, 192), mode="bicubic", align_corners=False)
    torch.testing.assert_close(result, expected.expand(2, -1, -1, -1), atol=1e-5, rtol=0)


def test_list_is_stacked_whatever_the_sizes() -> None:
    assert to_input([noise(8, 8), noise(9, 7)], ImageSpec(height=16, width=16)).shape == (2, 3, 16, 16)


def test_grey_and_transparent_files_become_rgb(tmp_path) -> None:
    Image.new("L", (4, 4), 9).save(tmp_path / "grey.png")
    Image.new("RGBA", (4, 4), (1, 2, 3, 4)).save(tmp_path / "alpha.png")

    assert read_image(tmp_path / "grey.png").getpixel((0, 0)) == (9, 9, 9)
    assert read_image(tmp_path / "alpha.png").getpixel((0, 0)) == (1, 2, 3)
    assert open_image(tmp_path / "alpha.png").mode == "RGBA"


def test_missing_image_is_named(tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "no.png")

    assert str(caught.value) == (
        f"cannot read image {tmp_path / 'no.png'}: no such file; re-extract or re-download this file"
    )


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "header"])
def test_damaged_image_is_named(tmp_path, damage: str) -> None:
    path = tmp_path / "bad.png"
    noise(64, 64).save(path)
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "text": b"<html>not found</html>",
            "truncated": content[: len(content) // 2],
            "header": content[:20] + b"\xff" * 40 + content[60:],
        }[damage]
    )

    with pytest.raises(DataError, match="re-extract or re-download this file") as caught:
        read_image(path)
    assert str(caught.value).startswith(f"cannot read image {path}: ")


def test_every_flipped_byte_is_read_or_refused(tmp_path) -> None:
    path = tmp_path / "bad.png"
    noise(6, 6).save(path)
    content = bytearray(path.read_bytes())
    for position in range(len(content)):
        damaged = content.copy()
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            read_image(path)
