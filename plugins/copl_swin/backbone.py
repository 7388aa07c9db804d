"""Swin-V2 as a backbone: any of timm's, by name, or a given instance."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn

from copl_core.api import ConfigError
from copl_core.contracts import (
    Backbone,
    FeatureLayout,
    Features,
    ImageSpec,
    InputSpec,
    Modality,
    SpectrogramSpec,
    weights_source,
)
from copl_swin.attention import SwinBlock
from copl_swin.weights import load_from_file, load_from_hub


class TimmSwin(Backbone):
    """Wraps one ``SwinTransformerV2``. Stages are timm's: the patch merging is the first step of stages 1 to 3.

    As a visual encoder it eats RGB images of its own size. As an audio encoder it eats a log-mel spectrogram of the
    same size as an image: time downwards, mel bins to the right, three equal channels.
    """

    def __init__(self, *, encoder: SwinTransformerV2, image: ImageSpec) -> None:
        super().__init__()
        self.encoder = encoder
        self.input_spec = InputSpec(image=image, audio=SpectrogramSpec(frames=image.height, mel_bins=image.width))
        self.stages = tuple(len(stage.blocks) for stage in encoder.layers)
        self.blocks = [SwinBlock(block) for stage in encoder.layers for block in stage.blocks]
        self._layout = FeatureLayout(
            width=encoder.num_features,
            pyramid=tuple((stage.blocks[0].dim, *stage.output_resolution) for stage in encoder.layers),
        )
        # Block index -> the stage whose patch merging follows it.
        self._merging = {end: stage for stage, end in enumerate(sorted(self.stage_ends())[:-1], start=1)}

    def tokens(self, modality: Modality) -> tuple[int, ...]:
        """The same for both modalities."""
        return tuple(math.prod(handle.block.input_resolution) for handle in self.blocks)

    def layout(self, modality: Modality) -> FeatureLayout:
        """The same for both modalities."""
        return self._layout

    def lower_precision(self, dtype: torch.dtype, keep: Collection[nn.Module] = ()) -> None:
        """All linear layers but those of the position bias, which reaches 16."""
        exact = [layer for handle in self.blocks for layer in handle.block.attn.cpb_mlp]
        super().lower_precision(dtype, [*keep, *exact])

    def embed(self, x: Tensor) -> Tensor:
        """Patch embedding (BT, 3, H, W) -> (BT, N, d_0)."""
        return self.encoder.patch_embed(x).flatten(1, 2)

    def advance(self, index: int, tokens: Tensor) -> Tensor:
        """Patch merging after the last block of a stage: (BT, N, d) -> (BT, N / 4, 2 d)."""
        stage = self._merging.get(index)
        if stage is None:
            return tokens
        grid = tokens.unflatten(1, self.encoder.layers[stage - 1].output_resolution)
        return self.encoder.layers[stage].downsample(grid).flatten(1, 2)

    def features(self, stage_tokens: Sequence[Tensor], modality: Modality) -> Features:
        """Stage outputs before merging as maps, the last after the final norm; pooled is its mean over tokens."""
        tokens = self.encoder.norm(stage_tokens[-1])
        maps = [
            item.transpose(1, 2).unflatten(2, (height, width))
            for item, (_, height, width) in zip([*stage_tokens[:-1], tokens], self._layout.pyramid, strict=True)
        ]
        return Features(pooled=tokens.mean(dim=1), tokens=tokens, pyramid=tuple(maps))


class Swin(TimmSwin):
    """Any Swin-V2 of timm.

    Args:
        model: timm name, with or without tag, e.g. ``swinv2_large_window12_192.ms_in22k``.
        weights: ``timm`` (timm's hub), ``none`` (random), or a local .safetensors, .pth or .ckpt file.
    """

    def __init__(self, *, model: str, weights: str = "timm") -> None:
        encoder = _create(model)
        config = encoder.pretrained_cfg
        _, height, width = config["input_size"]
        image = ImageSpec(height=height, width=width, mean=tuple(config["mean"]), std=tuple(config["std"]))
        super().__init__(encoder=encoder, image=image)
        self.model = model
        self.weights = weights
        classes = config["num_classes"]
        self.published_parameters = sum(p.numel() for p in encoder.parameters()) + (encoder.num_features + 1) * classes

    def identity(self) -> dict[str, Any]:
        """Timm name, tag and weight source; of a local file only its name."""
        config = self.encoder.pretrained_cfg
        return {
            "architecture": config["architecture"],
            "tag": config.get("tag", ""),
            "weights": weights_source(self.weights),
        }

    def load_pretrained(self) -> None:
        """Load the weights named by ``weights``.

        Raises:
            WeightsError: No such file, no connection, or weights of another model.
        """
        if self.weights == "timm":
            load_from_hub(self.encoder, self.model)
        elif self.weights != "none":
            load_from_file(self.encoder, Path(self.weights))


def _create(name: str) -> SwinTransformerV2:
    """Build the architecture without weights, without classifier and without drop-path (frozen encoders never drop)."""
    known = timm.list_models("swinv2*")
    if name.split(".")[0] not in known or not timm.is_model(name):
        raise ConfigError(f"timm has no Swin-V2 named {name!r}; it has: {', '.join(known)}")
    try:
        encoder = timm.create_model(name, pretrained=False, num_classes=0, drop_path_rate=0.0)
    except RuntimeError as error:  # an unknown tag
        raise ConfigError(f"timm cannot build {name!r}: {error}") from error
    if not isinstance(encoder, SwinTransformerV2):
        raise ConfigError(f"timm's {name!r} is a {type(encoder).__name__}, not a SwinTransformerV2")
    return encoder
