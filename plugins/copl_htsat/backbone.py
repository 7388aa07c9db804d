"""HTS-AT as a backbone for sound."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from copl_core.api import ConfigError
from copl_core.contracts import Backbone, FeatureLayout, Features, InputSpec, Modality, WaveformSpec, weights_source
from copl_htsat.attention import HTSATBlock
from copl_htsat.network import HTSATNetwork
from copl_htsat.spectrogram import HOP, SAMPLE_RATE, WINDOW
from copl_htsat.weights import load_from_file

logger = logging.getLogger("copl_htsat")


class HTSATEncoder(Backbone):
    """Wraps one ``HTSATNetwork``. It eats waveforms and serves as an audio encoder only.

    Args:
        encoder: The network.
        samples: Length of a waveform.

    Raises:
        ConfigError: The network has no place for so many samples, or they don't fill one analysis window.
    """

    def __init__(self, *, encoder: HTSATNetwork, samples: int) -> None:
        super().__init__()
        if not WINDOW <= samples < HOP * encoder.frames:
            raise ConfigError(
                f"samples is {samples}: this HTS-AT takes {WINDOW} to {HOP * encoder.frames - 1} samples "
                f"at {SAMPLE_RATE} Hz"
            )
        self.encoder = encoder
        self.input_spec = InputSpec(audio=WaveformSpec(sample_rate=SAMPLE_RATE, samples=samples))
        self.stages = tuple(len(stage.blocks) for stage in encoder.layers)
        self.blocks = [HTSATBlock(block) for stage in encoder.layers for block in stage.blocks]
        firsts = [stage.blocks[0] for stage in encoder.layers]
        self._layout = FeatureLayout(
            width=firsts[-1].width, pyramid=tuple((first.width, first.side, first.side) for first in firsts)
        )
        # Block index -> the stage whose patch merging follows it.
        self._merging = {end: stage for stage, end in enumerate(sorted(self.stage_ends())[:-1])}

    def tokens(self, modality: Modality) -> tuple[int, ...]:
        """Of sound; there is no other modality."""
        return tuple(handle.block.side**2 for handle in self.blocks)

    def layout(self, modality: Modality) -> FeatureLayout:
        """Of sound; there is no other modality."""
        return self._layout

    def embed(self, x: Tensor) -> Tensor:
        """Spectrogram and patch embedding of waveforms (BT, samples) -> (BT, N, d_0)."""
        # The powers of a spectrogram span ten decades: too many for half precision.
        with torch.autocast(x.device.type, enabled=False):
            picture = self.encoder.picture(x)
        return self.encoder.patch_embed(picture)

    def advance(self, index: int, tokens: Tensor) -> Tensor:
        """Patch merging after the last block of a stage: (BT, N, d) -> (BT, N / 4, 2 d)."""
        stage = self._merging.get(index)
        return tokens if stage is None else self.encoder.layers[stage].downsample(tokens)

    def features(self, stage_tokens: Sequence[Tensor], modality: Modality) -> Features:
        """Stage outputs before merging as maps, the last after the final norm; pooled is its mean over tokens.

        Maps have frequency downwards and time to the right, both in patches of the folded spectrogram.
        """
        tokens = self.encoder.norm(stage_tokens[-1])
        maps = [
            item.transpose(1, 2).unflatten(2, (height, width))
            for item, (_, height, width) in zip([*stage_tokens[:-1], tokens], self._layout.pyramid, strict=True)
        ]
        return Features(pooled=tokens.mean(dim=1), tokens=tokens, pyramid=tuple(maps))


class HTSAT(HTSATEncoder):
    """HTS-AT in its published size.

    Args:
        weights: Path of an official checkpoint (.ckpt, .pth or .safetensors), or ``none`` (random).
        samples: Length of a waveform; ten seconds, as in its training on AudioSet.

    Attributes:
        left_out: Tensors of the checkpoint that this encoder has no place for, once it is loaded.
    """

    #: Published totals count the classifiers and the matrices of the front end, too.
    published_parameters = 31_325_143

    def __init__(self, *, weights: str, samples: int = 320_000) -> None:
        super().__init__(encoder=HTSATNetwork(), samples=samples)
        self.weights = weights
        self.left_out: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Architecture and weight source; of a local file only its name."""
        return {"architecture": "htsat", "weights": weights_source(self.weights)}

    def load_pretrained(self) -> None:
        """Load the weights named by ``weights``, and log which of its tensors are left out.

        Raises:
            WeightsError: No such file, or weights of another model.
        """
        if self.weights == "none":
            return
        path = Path(self.weights)
        self.left_out = load_from_file(self.encoder, path)
        logger.info("left out of %s: %s", path.name, ", ".join(self.left_out) or "nothing")
