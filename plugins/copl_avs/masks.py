"""Masks: from a file to 0/1, and their fit with a prediction."""

from os import PathLike

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from copl_core.api import DataError
from copl_core.data import open_image


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
        raise DataError(
            f"masks are {height}x{width} but the head predicts {logits.shape[-2]}x{logits.shape[-1]}: "
            f"set task.head.output_size to {height if height == width else 'the size of square masks'}"
        )
