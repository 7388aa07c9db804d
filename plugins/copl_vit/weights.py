"""Pretrained weights for timm's Vision Transformers, from timm's hub or from a local file."""

from pathlib import Path

import timm
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

from copl_core.contracts import load_exactly, load_published, read_weights

#: Parts of a published checkpoint that an encoder without classifier has no place for.
CLASSIFIER_PREFIX = "head."


def load_from_hub(encoder: VisionTransformer, name: str) -> None:
    """Load timm's published weights of ``name`` into ``encoder`` (downloaded once, then from timm's cache)."""
    load_published(encoder, lambda: timm.create_model(name, pretrained=True, num_classes=0), name=name)


def load_from_file(encoder: VisionTransformer, path: Path) -> None:
    """Load a local checkpoint in timm's or the original naming; classifier weights are left out."""
    # DeiT-III's files name their layer scales apart; no other model has names that the adaptation would touch.
    state = checkpoint_filter_fn(read_weights(path), encoder, adapt_layer_scale=True)
    state = {name: tensor for name, tensor in state.items() if not name.startswith(CLASSIFIER_PREFIX)}
    load_exactly(encoder, state, source=path, what="Vision Transformer")
