"""Head: the AVSBench decoder on top of any encoder, with its loss."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from copl_avs.fusion import DilatedSum, FeatureFusionBlock
from copl_avs.masks import STRIDE, check_size
from copl_avs.tpavi import Tpavi
from copl_core.api import ConfigError
from copl_core.contracts import Batch, FeatureLayout, Features, Head, Predictions

SCALES = 4


class AvsDecoder(Head):
    """AVSBench's decoder (Zhou et al. 2022) in the form LAVISH put on Swin.

    Each of four scales: Linear to ``widths``, bicubic to 8g, 4g, 2g, g cells, four dilated convolutions to
    ``channels``, TPAVI with the sound. Then fusion from coarse to fine and a small convolutional head. TPAVI is the
    only way of the sound into the mask, beside what the encoders exchanged.

    An encoder with fewer than four maps gives its finest one to all scales that have none of their own, each with its
    own projection: a plain ViT's single map serves all four. Of more than four, the coarsest four are used.

    Args:
        visual: Shapes of the visual features.
        audio: Shapes of the audio features.
        frames: T.
        output_size: Height and width S of the prediction, a multiple of 32; must equal the masks' size. g is S / 32.
        channels: Width of the decoder, a multiple of 8.
        widths: Widths to which the four maps are projected, fine to coarse.
        audio_width: Width to which the sound of a frame is projected.
        tpavi_stages: Scales (0 fine .. 3 coarse) that get TPAVI. None: the sound reaches no mask, an ablation.
        tpavi_gain: Weight that the sound begins with in TPAVI, at least 0. 0 as published; it then takes hundreds of
            steps to grow, which a short training can't spare: begin with 1 there.
        standardize_audio: Standardise the pooled sound per feature, with running statistics and nothing trained, before
            its projection. The published decoder does not; on frozen features, which differ little from their common
            mean, it shortens training by far.
        matching_weight: lambda of AVSBench's audio-visual matching loss (its Eq. 5), which draws what is seen under the
            predicted mask to the sound of the frame at every scale with TPAVI; 0.5 on MS3, unused (0) on S4.
    """

    def __init__(
        self,
        *,
        visual: FeatureLayout,
        audio: FeatureLayout,
        frames: int,
        output_size: int = 224,
        channels: int = 256,
        widths: Sequence[int] = (64, 128, 320, 512),
        audio_width: int = 128,
        tpavi_stages: Sequence[int] = (0, 1, 2, 3),
        tpavi_gain: float = 0.0,
        standardize_audio: bool = False,
        matching_weight: float = 0.0,
    ) -> None:
        super().__init__(visual=visual, audio=audio, frames=frames)
        _check(output_size, channels, widths, audio_width, tpavi_stages, tpavi_gain)
        if matching_weight < 0 or (matching_weight and not tpavi_stages):
            raise ConfigError(f"head.matching_weight is {matching_weight}: must be at least 0, and 0 without TPAVI")
        self.output_size = output_size
        self.matching_weight = matching_weight
        self.sizes = tuple(output_size // STRIDE * 2**step for step in range(SCALES - 1, -1, -1))
        self.sources = tuple(max(0, len(visual.pyramid) - SCALES + scale) for scale in range(SCALES))

        source_widths = [visual.pyramid[source][0] for source in self.sources]
        self.projections = nn.ModuleList(map(nn.Linear, source_widths, widths))
        self.dilated = nn.ModuleList(DilatedSum(width=width, channels=channels) for width in widths)
        self.audio_norm: nn.Module = nn.Identity()
        if standardize_audio:
            self.audio_norm = nn.BatchNorm1d(audio.width, affine=False)
        self.audio_projection = nn.Linear(audio.width, audio_width) if tpavi_stages else None
        self.tpavi = nn.ModuleDict()
        for stage in sorted(tpavi_stages):
            self.tpavi[str(stage)] = Tpavi(
                channels=channels, inner=channels // 2, audio_width=audio_width, gain=tpavi_gain
            )
        self.fusion = nn.ModuleList(
            FeatureFusionBlock(channels=channels, lateral=scale < SCALES - 1) for scale in range(SCALES)
        )
        self.mask = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(channels // 2, channels // 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels // 8, 1, 1),
        )

    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """Predict the masks.

        Returns:
            ``logits`` (B, T, 1, S, S); in training (V, 1, S, S), of the V frames that have a mask: after TPAVI frames
            no longer meet, and no loss reads the others (S4 has masks for one frame in five). With a matching loss
            also ``map<i>`` (V, C, H_i, W_i) and ``sound<i>`` (V, C) of the scales with TPAVI.
        """
        sound = None if self.audio_projection is None else self.audio_projection(self.audio_norm(audio.pooled))
        maps = [self._scale(scale, visual.pyramid[self.sources[scale]], sound) for scale in range(SCALES)]
        matched: Predictions = {}
        if self.training:
            valid = batch["mask_valid"].flatten()
            maps = [x[valid] for x in maps]
            if self.matching_weight:
                for scale, tpavi in self.tpavi.items():
                    # Rectified: the in-place ReLU of the original's fusion overwrites the maps its loss reads.
                    matched[f"map{scale}"] = maps[int(scale)].relu()
                    matched[f"sound{scale}"] = tpavi.align(sound)[valid]
        path: Tensor = self.fusion[-1](maps[-1])
        for fusion, lateral in zip(reversed(self.fusion[:-1]), reversed(maps[:-1]), strict=True):
            path = fusion(path, lateral)
        logits: Tensor = self.mask(path)
        return {"logits": logits if self.training else self._by_clip(logits), **matched}

    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """Binary cross-entropy, averaged over the pixels of the frames that have a mask, and the matching loss.

        Args:
            predictions: ``logits`` as ``forward`` gives them.
            batch: ``mask`` (B, T, 1, S, S) of 0 and 1, and ``mask_valid`` (B, T).

        Raises:
            DataError: Masks and prediction differ in size.
        """
        logits, mask, valid = predictions["logits"], batch["mask"], batch["mask_valid"]
        check_size(logits, mask)
        if logits.dim() == mask.dim():
            logits = logits[valid]
        # In float32 also under autocast: the mean runs over some 10^5 pixels.
        logits, mask = logits.float(), mask[valid].float()
        if not len(logits):
            return {"loss_mask": logits.sum()}
        losses = {"loss_mask": functional.binary_cross_entropy_with_logits(logits, mask)}
        scales = [name.removeprefix("map") for name in predictions if name.startswith("map")]
        if scales:
            distances = [matching(predictions[f"map{s}"], predictions[f"sound{s}"], logits) for s in scales]
            losses["loss_matching"] = self.matching_weight * torch.stack(distances).mean()
        return losses

    def _scale(self, scale: int, source: Tensor, sound: Tensor | None) -> Tensor:
        """One scale up to TPAVI: map (BT, d_s, H_s, W_s), sound (BT, audio_width) -> (BT, channels, size, size)."""
        x: Tensor = self.projections[scale](source.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        size = (self.sizes[scale], self.sizes[scale])
        x = functional.interpolate(x, size, mode="bicubic", align_corners=False)
        x = self.dilated[scale](x)
        if sound is None or str(scale) not in self.tpavi:
            return x
        mixed: Tensor = self.tpavi[str(scale)](self._by_clip(x), self._by_clip(sound))
        return mixed.flatten(0, 1)

    def _by_clip(self, x: Tensor) -> Tensor:
        """(BT, ...) -> (B, T, ...)."""
        return x.reshape(-1, self.frames, *x.shape[1:])


def matching(visual: Tensor, sound: Tensor, logits: Tensor) -> Tensor:
    """How far what is seen under the mask lies from the sound: KL divergence of their softmaxes (AVSBench's Eq. 5).

    Args:
        visual: (V, C, H, W) a map.
        sound: (V, C).
        logits: (V, 1, S, S) of the mask.

    Returns:
        Scalar, summed over the V frames as in the original.
    """
    mask = functional.adaptive_avg_pool2d(logits, visual.shape[-2:]).sigmoid()
    seen = (visual.float() * mask).mean(dim=(2, 3))
    return functional.kl_div(seen.log_softmax(dim=-1), sound.float().softmax(dim=-1), reduction="sum")


def _check(
    output_size: int,
    channels: int,
    widths: Sequence[int],
    audio_width: int,
    tpavi_stages: Sequence[int],
    tpavi_gain: float,
) -> None:
    """Refuse numbers that build no decoder.

    Raises:
        ConfigError: Names the setting.
    """
    if output_size < STRIDE or output_size % STRIDE:
        raise ConfigError(f"head.output_size is {output_size}: must be a multiple of {STRIDE}")
    if channels < 8 or channels % 8:
        raise ConfigError(f"head.channels is {channels}: must be a multiple of 8")
    if len(widths) != SCALES or min(widths) < 1:
        raise ConfigError(f"head.widths is {list(widths)}: must be {SCALES} numbers above 0, fine to coarse")
    if audio_width < 1:
        raise ConfigError(f"head.audio_width is {audio_width}: must be at least 1")
    if set(tpavi_stages) - set(range(SCALES)) or len(set(tpavi_stages)) != len(tpavi_stages):
        raise ConfigError(f"head.tpavi_stages is {list(tpavi_stages)}: must be different numbers of 0..{SCALES - 1}")
    if tpavi_gain < 0:
        raise ConfigError(f"head.tpavi_gain is {tpavi_gain}: must be at least 0")
