"""A frozen encoder, seen as a list of blocks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from copl_core.contracts import (
    Backbone,
    Block,
    FeatureLayout,
    Features,
    ImageSpec,
    InputSpec,
    Modality,
    SpectrogramSpec,
    hidden_layer,
    load_exactly,
    read_weights,
    weights_source,
)
from torch import Tensor, nn


class TemplateName(Backbone):
    """A plain transformer of torch's own layers, for pictures and for spectrograms of the same size.

    Args:
        size: Height and width of the input.
        patch: Height and width of a patch; divides ``size``.
        width: d.
        depth: Number of blocks.
        heads: Heads of the attention; divides ``width``.
        weights: A local .safetensors or .pth file of this module's state dict, or ``none`` for random ones.
    """

    def __init__(
        self, *, size: int = 96, patch: int = 16, width: int = 64, depth: int = 4, heads: int = 4, weights: str = "none"
    ) -> None:
        if size % patch or width % heads:
            raise ValueError(f"not divisible: size {size} by patch {patch}, or width {width} by heads {heads}")
        super().__init__()
        self.weights = weights
        self.grid = size // patch
        self.patches = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, self.grid**2, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.input_spec = InputSpec(
            image=ImageSpec(height=size, width=size), audio=SpectrogramSpec(frames=size, mel_bins=size)
        )
        self.blocks = [TemplateNameBlock(layer) for layer in self.layers]
        self.stages = (depth,)

    def tokens(self, modality: Modality) -> tuple[int, ...]:
        """One token a patch, the same at every block."""
        return (self.grid**2,) * self.depth

    def layout(self, modality: Modality) -> FeatureLayout:
        """One map, of the patches."""
        width = self.widths[-1]
        return FeatureLayout(width=width, pyramid=((width, self.grid, self.grid),))

    def identity(self) -> dict[str, Any]:
        """Architecture and weight source; of a local file only its name."""
        architecture = f"template_name-{self.widths[-1]}x{self.depth}"
        return {"architecture": architecture, "weights": weights_source(self.weights)}

    def load_pretrained(self) -> None:
        """Load the file named by ``weights``.

        Raises:
            WeightsError: No such file, or weights of another model.
        """
        if self.weights != "none":
            path = Path(self.weights)
            load_exactly(self, read_weights(path), source=path, what="TemplateName")

    def embed(self, x: Tensor) -> Tensor:
        """(BT, 3, H, W) -> (BT, N, d)."""
        return self.patches(x).flatten(2).transpose(1, 2) + self.position

    def features(self, stage_tokens: Sequence[Tensor], modality: Modality) -> Features:
        """Normed tokens (BT, N, d), their mean (BT, d), and their map (BT, d, grid, grid)."""
        tokens = self.norm(stage_tokens[-1])
        pyramid = (tokens.transpose(1, 2).unflatten(2, (self.grid, self.grid)),)
        return Features(pooled=tokens.mean(dim=1), tokens=tokens, pyramid=pyramid)


class TemplateNameBlock(Block):
    """A pre-norm layer as two residual branches. A handle: the parameters stay the layer's.

    Args:
        layer: With ``norm_first=True``.
    """

    def __init__(self, layer: nn.TransformerEncoderLayer) -> None:
        self.layer = layer
        self.width = layer.linear1.in_features

    def attention(self, tokens: Tensor, prompts: Tensor | None = None) -> Tensor:
        """Tokens (BT, N, d), prompts (BT or 1, P, d) as additional keys and values -> (BT, N, d)."""
        queries = keys = self.layer.norm1(tokens)
        if prompts is not None:
            keys = torch.cat([queries, self.layer.norm1(prompts).expand(len(tokens), -1, -1)], dim=1)
        return self.layer.self_attn(queries, keys, keys, need_weights=False)[0]

    def feedforward(self, tokens: Tensor) -> Tensor:
        """(BT, N, d) -> (BT, N, d)."""
        hidden = hidden_layer(self._widen, self.layer.norm2(tokens))
        return self.layer.linear2(hidden)

    def _widen(self, tokens: Tensor) -> Tensor:
        return self.layer.activation(self.layer.linear1(tokens))
