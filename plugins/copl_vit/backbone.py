"""Vision Transformers as backbones: any plain one of timm's, by name, or a given instance."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import timm
import torch
import torch.nn.functional as F
from timm.layers import PatchEmbed, resample_abs_pos_embed
from timm.models import vision_transformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

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
from copl_vit.attention import ViTBlock
from copl_vit.weights import load_from_file, load_from_hub

Position: TypeAlias = Literal["linear_tokens", "bicubic_grid"]
Pool: TypeAlias = Literal["token", "avg"]


class TimmViT(Backbone):
    """Wraps one plain ``VisionTransformer``: prefix tokens (class, registers), then one token a patch.

    As a visual encoder it eats RGB images. As an audio encoder it eats a log-mel spectrogram of a size of its own:
    time downwards, mel bins to the right, three equal channels; what doesn't fill a patch at the end is cut.

    Args:
        encoder: Without dropout and drop-path.
        image: Size and normalisation of the images.
        audio_size: Frames and mel bins of a spectrogram; the default is LAVISH's.
        position: How position embeddings fit an input of another size. ``linear_tokens``: linearly along the
            sequence of tokens, class token included, where the lengths differ (LAVISH, ``nets/my_vit.py``).
            ``bicubic_grid``: those of the patches as a map, bicubically with antialiasing, where the maps differ.
        pool: Pooled features are the class token (``token``) or the mean over the patches (``avg``). By default as in
            timm's model; ``avg`` where that pools by attention or a maximum.
    """

    def __init__(
        self,
        *,
        encoder: VisionTransformer,
        image: ImageSpec,
        audio_size: tuple[int, int] = (102, 128),
        position: Position = "linear_tokens",
        pool: Pool | None = None,
    ) -> None:
        super().__init__()
        frames, mel_bins = audio_size
        patch_h, patch_w = encoder.patch_embed.patch_size
        if frames < patch_h or mel_bins < patch_w:
            raise ConfigError(f"audio_size {frames}x{mel_bins} is smaller than a patch ({patch_h}x{patch_w})")
        if pool == "token" and not encoder.has_class_token:
            raise ConfigError("pool: token needs a class token, and this encoder has none; use pool: avg")
        self.encoder = encoder
        self.input_spec = InputSpec(image=image, audio=SpectrogramSpec(frames=frames, mel_bins=mel_bins))
        self.stages = (len(encoder.blocks),)
        self.blocks = [ViTBlock(block) for block in encoder.blocks]
        self.position = position
        self.pool = pool or ("token" if encoder.global_pool == "token" else "avg")
        self._grids: dict[Modality, tuple[int, int]] = {
            "visual": (image.height // patch_h, image.width // patch_w),
            "audio": (frames // patch_h, mel_bins // patch_w),
        }

    def tokens(self, modality: Modality) -> tuple[int, ...]:
        """Prefix tokens and patches, the same at every block."""
        height, width = self._grids[modality]
        return (self.encoder.num_prefix_tokens + height * width,) * self.depth

    def layout(self, modality: Modality) -> FeatureLayout:
        """One map, of the patches."""
        width = self.encoder.embed_dim
        return FeatureLayout(width=width, pyramid=((width, *self._grids[modality]),))

    def embed(self, x: Tensor) -> Tensor:
        """Patch and position embedding (BT, 3, H, W) -> (BT, N, d), for an input of any size.

        timm's ``patch_embed``, ``_pos_embed`` and ``norm_pre``, without the check of the input size.
        """
        encoder = self.encoder
        patches = encoder.patch_embed.proj(x)
        height, width = patches.shape[2:]
        patches = encoder.patch_embed.norm(patches.flatten(2).transpose(1, 2))
        prefix = [token.expand(len(x), -1, -1) for token in (encoder.cls_token, encoder.reg_token) if token is not None]
        position = self._position(height, width)
        if position is None:
            tokens = torch.cat([*prefix, patches], dim=1)
        elif encoder.no_embed_class:
            tokens = torch.cat([*prefix, patches + position], dim=1)
        else:
            tokens = torch.cat([*prefix, patches], dim=1) + position
        return encoder.norm_pre(tokens)

    def features(self, stage_tokens: Sequence[Tensor], modality: Modality) -> Features:
        """All tokens after the final norm; their map has no prefix tokens.

        Models that timm norms after pooling (``fc_norm``) have no norm before: their tokens are those of the last
        block, as in timm's own features.
        """
        encoder = self.encoder
        tokens = encoder.norm(stage_tokens[-1])
        patches = tokens[:, encoder.num_prefix_tokens :]
        pooled = tokens[:, 0] if self.pool == "token" else patches.mean(dim=1)
        return Features(
            pooled=encoder.fc_norm(pooled),
            tokens=tokens,
            pyramid=(patches.transpose(1, 2).unflatten(2, self._grids[modality]),),
        )

    def _position(self, height: int, width: int) -> Tensor | None:
        """Position embedding (1, N, d) for a map of patches; without the prefix if timm adds it to patches only."""
        encoder = self.encoder
        if encoder.pos_embed is None:
            return None
        prefix = 0 if encoder.no_embed_class else encoder.num_prefix_tokens
        if self.position == "linear_tokens":
            return interpolate_tokens(encoder.pos_embed, prefix + height * width)
        return resample_abs_pos_embed(
            encoder.pos_embed, (height, width), old_size=encoder.patch_embed.grid_size, num_prefix_tokens=prefix
        )


class ViT(TimmViT):
    """Any plain Vision Transformer of timm: AugReg, DeiT, DINOv2, CLIP, SigLIP and others.

    Args:
        model: timm name, with or without tag, e.g. ``vit_large_patch16_224.augreg_in21k``.
        weights: ``timm`` (timm's hub), ``none`` (random), or a local .safetensors, .pth or .ckpt file.
        audio_size: See ``TimmViT``.
        position: See ``TimmViT``.
        pool: See ``TimmViT``.
    """

    def __init__(
        self,
        *,
        model: str,
        weights: str = "timm",
        audio_size: tuple[int, int] = (102, 128),
        position: Position = "linear_tokens",
        pool: Pool | None = None,
    ) -> None:
        encoder = _create(model)
        config = encoder.pretrained_cfg
        _, height, width = config["input_size"]
        image = ImageSpec(height=height, width=width, mean=tuple(config["mean"]), std=tuple(config["std"]))
        super().__init__(encoder=encoder, image=image, audio_size=audio_size, position=position, pool=pool)
        self.model = model
        self.weights = weights
        # The field's tables count the classifier of the published model, which is never run (e.g. 21,843 classes).
        classifier = (encoder.num_features + 1) * config["num_classes"]
        self.published_parameters = sum(parameter.numel() for parameter in encoder.parameters()) + classifier

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


def interpolate_tokens(position: Tensor, length: int) -> Tensor:
    """Resample position embeddings along the sequence: (1, N, d) -> (1, length, d), untouched if the length is right.

    LAVISH's choice: prefix tokens take part, so the class token's embedding mixes with that of the first patch, and
    that patches lie in a plane is ignored.
    """
    if position.shape[1] == length:
        return position
    return F.interpolate(position.transpose(1, 2), size=length, mode="linear").transpose(1, 2)


def _create(name: str) -> VisionTransformer:
    """Build the architecture without weights, without classifier and without drop-path (frozen encoders never drop)."""
    architecture = name.split(".")[0]
    if not timm.is_model(architecture):
        raise ConfigError(f"timm has no model named {architecture!r}{_near(architecture, timm.list_models())}")
    try:
        encoder = timm.create_model(name, pretrained=False, num_classes=0, drop_path_rate=0.0)
    except (RuntimeError, TypeError) as error:  # an unknown tag; an architecture that has no drop-path
        near = _near(name, timm.list_pretrained(f"{architecture}.*"))
        raise ConfigError(f"timm cannot build {name!r} as a Vision Transformer: {error}{near}") from error
    problem = _why_not_plain(encoder)
    if problem:
        raise ConfigError(f"timm's {name!r} {problem}; the backbone 'vit' takes plain Vision Transformers only")
    return encoder


def _why_not_plain(encoder: Any) -> str:
    """What keeps the walk block by block from being that of timm's model; empty if nothing does."""
    # Exact types: subclasses change the embedding (DeiT's distilled models), the order of a block, or its attention.
    if type(encoder) is not VisionTransformer:
        return f"is a {type(encoder).__name__}, not a VisionTransformer"
    if type(encoder.patch_embed) is not PatchEmbed:
        return f"embeds patches by a {type(encoder.patch_embed).__name__}"
    for block in encoder.blocks:
        if type(block) is not vision_transformer.Block:
            return f"has blocks of type {type(block).__name__}"
        if type(block.attn) is not vision_transformer.Attention:
            return f"has attention of type {type(block.attn).__name__}"
    return ""


def _near(name: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    return f"; did you mean {', '.join(matches)}?" if matches else ""
