"""Swin Transformer V2 backbones over timm."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec("backbone", "swin", "copl_swin.backbone:Swin", "Any Swin-V2 of timm, by timm name"),
    ]
