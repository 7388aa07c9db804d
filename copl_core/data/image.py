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
from copl_core.data.stages import stage

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


@stage("pictures")
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


@stage("resize")
def to_input(image: Image.Image | Sequence[Image.Image], spec: ImageSpec) -> Tensor:
    """Resize an image to what an encoder eats and normalise it.

    The aspect ratio is not kept. The resize is torch's bicubic on the tensor without antialiasing, as in the field's
    audio-visual code (LAVISH, AVSBench), not PIL's. They normalise before they resize, which is the same: weights of
    the interpolation add up to 1. The other order has less to compute where pictures are large.

    Args:
        image: An image, or a sequence of T images of any sizes.
        spec: Size and normalisation.

    Returns:
        (3, H, W), or (T, 3, H, W) for a sequence; float32.
    """
    if isinstance(image, Image.Image):
        return to_input([image], spec)[0]
    mean = 255 * torch.tensor(spec.mean).view(3, 1, 1)
    std = 255 * torch.tensor(spec.std).view(3, 1, 1)
    size = (spec.height, spec.width)
    result = torch.empty(len(image), 3, *size)
    for one, target in zip(image, result, strict=True):
        pixels = torch.from_numpy(np.array(one.convert("RGB"))).permute(2, 0, 1).float()
        if pixels.shape[1:] != size:
            pixels = functional.interpolate(pixels[None], size, mode="bicubic", align_corners=False)[0]
        torch.sub(pixels, mean, out=target).div_(std)
    return result
