"""The nano encoder as a backbone."""

from importlib.resources import as_file, files
from typing import Any, Literal

from timm.models.swin_transformer_v2 import SwinTransformerV2

from copl_core.contracts import ImageSpec
from copl_swin.backbone import TimmSwin
from copl_swin.weights import load_from_file
from copl_synth.architecture import IMAGE_MEAN, IMAGE_STD, NANO

WEIGHTS_FILE = "swin_nano.safetensors"


class SwinNano(TimmSwin):
    """A Swin-V2 of 1.5 M parameters at 96 px, trained on generated images only (docs/nano-encoder.md).

    Args:
        weights: ``shipped`` with this package, or ``none`` (random).
    """

    def __init__(self, *, weights: Literal["shipped", "none"] = "shipped") -> None:
        size = NANO["img_size"]
        super().__init__(
            encoder=SwinTransformerV2(**NANO, num_classes=0, drop_path_rate=0.0),
            image=ImageSpec(height=size, width=size, mean=IMAGE_MEAN, std=IMAGE_STD),
        )
        self.weights = weights

    def identity(self) -> dict[str, Any]:
        """Fixed architecture; shipped or random weights."""
        return {"architecture": "swin_nano", "weights": self.weights}

    def load_pretrained(self) -> None:
        """Load the shipped weights, unless ``weights`` is ``none``."""
        if self.weights == "shipped":
            with as_file(files("copl_synth") / "weights" / WEIGHTS_FILE) as path:
                load_from_file(self.encoder, path)
