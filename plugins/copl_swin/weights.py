"""Pretrained weights for timm's Swin-V2, from timm's hub or from a local file."""

from pathlib import Path

import timm
from timm.models.swin_transformer_v2 import SwinTransformerV2, checkpoint_filter_fn

from copl_core.contracts import load_exactly, load_published, read_weights

#: Parts of a published checkpoint that an encoder without classifier has no place for.
CLASSIFIER_PREFIX = "head."


def load_from_hub(encoder: SwinTransformerV2, name: str) -> None:
    """Load timm's published weights of ``name`` into ``encoder`` (downloaded once, then from timm's cache)."""
    load_published(encoder, lambda: timm.create_model(name, pretrained=True, num_classes=0), name=name)


def load_from_file(encoder: SwinTransformerV2, path: Path) -> None:
    """Load a local checkpoint in timm's or the original naming; classifier weights are left out."""
    state = checkpoint_filter_fn(read_weights(path), encoder)
    state = {name: tensor for name, tensor in state.items() if not name.startswith(CLASSIFIER_PREFIX)}
    load_exactly(encoder, state, source=path, what="Swin-V2")
