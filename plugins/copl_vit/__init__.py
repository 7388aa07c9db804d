"""Vision Transformer backbones over timm."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec("backbone", "vit", "copl_vit.backbone:ViT", "Any plain Vision Transformer of timm, by timm name"),
    ]
