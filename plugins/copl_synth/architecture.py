"""Architecture of the nano encoder, as keyword arguments of timm's `SwinTransformerV2`; needs no torch."""

from typing import Any

NANO: dict[str, Any] = {
    "img_size": 96,
    "patch_size": 4,
    "window_size": 6,
    "embed_dim": 32,
    "depths": (1, 2, 2, 1),
    "num_heads": (2, 4, 8, 16),
}
"""Swin-V2 with 1.5 M parameters: stages of 24x24, 12x12, 6x6 and 3x3 tokens, 32, 64, 128 and 256 wide."""

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""Normalisation of RGB in 0..1 that the weights were trained with."""
