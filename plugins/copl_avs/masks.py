"""Masks: from a file to 0/1, and their fit with a prediction."""

from os import PathLike

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from copl_core.api import DataError
from copl_core.data import open_image

#: Predictions are so many pixels high and wide, or a multiple of it: the head's coarsest of four scales has one cell
#: for each.
STRIDE = 32


def read_mask(path: str | PathLike[str]) -> Tensor:
    """Read a mask: any pixel that is not black belongs to the object, whatever mode the file is stored in.

    Returns:
        (1, h, w) float32, 0 or 1.

    Raises:
        DataError: The file is missing or can't be decoded.
    """
    image = open_image(path)
    # 16- and 32-bit grey would be clipped by the conversion.
    wide = image.mode.startswith(("I", "F"))
    values = np.asarray(image if wide else image.convert("RGB"))
    marked = values > 0 if wide else (values > 0).any(axis=2)
    return torch.from_numpy(marked.astype(np.float32))[None]


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Image.Image:
    """Turn (h, w) 0/1 into a picture of mode "1" of ``size`` (width, height), without inventing grey levels."""
    picture = Image.fromarray(mask.cpu().numpy().astype(np.uint8) * 255)
    return picture.resize(size, Image.Resampling.NEAREST).convert("1")


def check_size(logits: Tensor, mask: Tensor) -> None:
    """Refuse masks of another size than the prediction; scaling either of them would change the scores silently.

    Args:
        logits: (..., S, S).
        mask: (..., h, w).

    Raises:
        DataError: The sizes differ.
    """
    if logits.shape[-2:] != mask.shape[-2:]:
        height, width = mask.shape[-2:]
        raise DataError(size_mismatch((width, height), logits.shape[-1]))


def size_mismatch(size: tuple[int, int], predicted: int) -> str:
    """What to tell and to do about masks of another size than the prediction.

    Args:
        size: Width and height of the masks.
        predicted: Height and width of the prediction, see ``AvsDecoder``.
    """
    width, height = size
    if width == height and width % STRIDE == 0:
        remedy = f"set task.head.output_size to {width}"
    else:
        near = max(1, round(max(size) / STRIDE)) * STRIDE
        remedy = f"scale them to {near}x{near}, as predictions are squares of a multiple of {STRIDE} pixels"
        if near != predicted:
            remedy += f", and set task.head.output_size to {near}"
    return f"masks are {width}x{height} but the head predicts {predicted}x{predicted}: {remedy}"
