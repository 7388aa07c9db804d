"""Images: from a file to what an encoder eats."""

import struct
import zlib
from collections.abc import Sequence
from os import PathLike

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from copl_core.api import DataError
from copl_core.contracts import ImageSpec

# What PIL's decoders raise on damaged files; none of them names the file.
_DECODING = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_image(path: str | PathLike[str]) -> Image.Image:
    """Read and decode an image in the mode it is stored in.

    Raises:
        DataError: The file is missing or can't be decoded.
    """
    try:
        with Image.open(path) as image:
            image.load()
            loaded: Image.Image = image.copy()
            return loaded
    except FileNotFoundError:
        reason = "no such file"
    except UnidentifiedImageError:
        reason = "not an image file"
    except _DECODING as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    raise DataError(f"cannot read image {path}: {reason}; re-extract or re-download this file")


def read_image(path: str | PathLike[str]) -> Image.Image:
    """Read an image as RGB.

    Raises:
        DataError: The file is missing or can't be decoded.
    """
    return open_image(path).convert("RGB")


def to_input(image: Image.Image | Sequence[Image.Image], spec: ImageSpec) -> Tensor:
    """Normalise an image and resize it to what an encoder eats.

    The aspect ratio is not kept. The resize is torch's bicubic on the tensor without antialiasing, as in the field's
    audio-visual code (LAVISH, AVSBench), not PIL's.

    Args:
        image: An image, or a sequence of T images of any sizes.
        spec: Size and normalisation.

    Returns:
        (3, H, W), or (T, 3, H, W) for a sequence; float32.
    """
    if not isinstance(image, Image.Image):
        return torch.stack([to_input(one, spec) for one in image])
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255
    mean = torch.tensor(spec.mean).view(3, 1, 1)
    std = torch.tensor(spec.std).view(3, 1, 1)
    pixels = (pixels - mean) / std
    if pixels.shape[1:] != (spec.height, spec.width):
        size = (spec.height, spec.width)
        pixels = functional.interpolate(pixels[None], size, mode="bicubic", align_corners=False)[0]
    return pixels.contiguous()
