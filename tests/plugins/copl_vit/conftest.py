"""Tiny random Vision Transformers of every flavour timm's names come in."""

from collections.abc import Callable
from typing import Any

import pytest
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from copl_core.contracts import ImageSpec
from copl_vit.backbone import TimmViT
from helpers import randomize

FLAVOURS: dict[str, dict[str, Any]] = {
    "class-token": {},
    "registers": {"reg_tokens": 2},
    "no-embed-class": {"reg_tokens": 1, "no_embed_class": True},
    "no-prefix-norm-after-pooling": {"class_token": False, "global_pool": "avg"},
    "no-prefix-norm-before-pooling": {"class_token": False, "global_pool": "avg", "fc_norm": False},
    "layer-scale": {"init_values": 0.5},
    "pre-norm": {"pre_norm": True},
    "qk-norm": {"qk_norm": True},
    "no-qkv-bias": {"qkv_bias": False},
    "norms-inside-branches": {"scale_attn_norm": True, "scale_mlp_norm": True},
    "gated-feedforward": {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU},
    "no-position": {"pos_embed": "none"},
    "any-image-size": {"dynamic_img_size": True},
}


class TinyViT(TimmViT):
    """A random Vision Transformer as a backbone."""

    def identity(self) -> dict[str, Any]:
        return {"architecture": "tiny"}

    def load_pretrained(self) -> None:
        """Nothing to load."""


def _tiny_vit(
    flavour: str = "class-token", *, audio_size: tuple[int, int] = (27, 20), seed: int = 0, **options: Any
) -> TinyViT:
    """Images of 32x32 in 4x4 patches; spectrograms of 27x20 in 3x2 patches. In evaluation mode."""
    encoder = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=0, **FLAVOURS[flavour]
    )
    randomize(encoder, seed)
    image = ImageSpec(height=32, width=32)
    return TinyViT(encoder=encoder, image=image, audio_size=audio_size, **options).eval()


@pytest.fixture
def tiny_vit() -> Callable[..., TinyViT]:
    return _tiny_vit


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param
