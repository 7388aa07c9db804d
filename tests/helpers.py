"""Small models for tests."""

from typing import Any

import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2

from copl_core.contracts import ImageSpec, Layout, PairLayout
from copl_swin.backbone import TimmSwin


def randomize(module: torch.nn.Module, seed: int = 0, std: float = 0.2) -> None:
    """Overwrite every parameter at random: timm starts Swin-V2's norms at zero, which would silence its branches."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.empty_like(parameter, dtype=torch.float64).normal_(0, std, generator=generator)
            parameter.copy_(noise)


class TinySwin(TimmSwin):
    """A random Swin-V2 as a backbone."""

    def identity(self) -> dict[str, Any]:
        return {"architecture": "tiny"}

    def load_pretrained(self) -> None:
        """Nothing to load."""


def tiny_swin(
    *, size: int = 32, window: int = 4, depths: tuple[int, ...] = (2, 2), dim: int = 16, seed: int = 0
) -> TinySwin:
    """A random two-stage Swin-V2, in evaluation mode."""
    encoder = SwinTransformerV2(
        img_size=size,
        patch_size=4,
        window_size=window,
        embed_dim=dim,
        depths=depths,
        num_heads=tuple(2 * 2**i for i in range(len(depths))),
        num_classes=0,
        drop_path_rate=0.0,
    )
    randomize(encoder, seed)
    return TinySwin(encoder=encoder, image=ImageSpec(height=size, width=size)).eval()


def layout(frames: int = 3, widths: tuple[tuple[int | None, int | None], ...] = ((8, 8),) * 4) -> Layout:
    """A layout of pairs with the given (visual, audio) widths."""
    pairs = tuple(PairLayout(visual_width=v, audio_width=a) for v, a in widths)
    visual = next(v for v, _ in reversed(widths) if v is not None)
    audio = next(a for _, a in reversed(widths) if a is not None)
    return Layout(frames=frames, pairs=pairs, visual_width=visual, audio_width=audio)
