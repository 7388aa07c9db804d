"""DG-SCT's adapter: LAVISH's, with channel and spatial attention between its two halves.

Duan et al., "Cross-modal Prompts: Adapting Large Pre-trained Models for Audio-Visual Downstream Tasks", NeurIPS 2023.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from copl_lavish.adapter import Bottleneck, LatentAttention


class TokenAlignment(nn.Module):
    """Brings the other stream to N tokens by a learned mixture of its N', then to width d.

    The mixture is a convolution of size 1 in which tokens take the place of channels. On Swin-V2-L with HTS-AT its
    N x N' weights are almost half of the whole method's.

    Args:
        tokens: N.
        width: d.
        other_tokens: N'.
        other_width: d'.
    """

    def __init__(self, *, tokens: int, width: int, other_tokens: int, other_width: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(other_tokens, tokens, kernel_size=1)
        self.project = nn.Linear(other_width, width)

    def forward(self, other: Tensor) -> Tensor:
        """(BT, N', d') -> (BT, N, d)."""
        aligned: Tensor = self.project(self.mix(other))
        return aligned


class GridAlignment(nn.Module):
    """Brings the other stream to width d, then its square grid to that of N tokens by bicubic interpolation.

    Args:
        tokens: N.
        width: d.
        other_tokens: N'.
        other_width: d'.
    """

    def __init__(self, *, tokens: int, width: int, other_tokens: int, other_width: int) -> None:
        super().__init__()
        self.side, self.other_side = math.isqrt(tokens), math.isqrt(other_tokens)
        if self.side**2 != tokens or self.other_side**2 != other_tokens:
            raise ValueError(f"bicubic alignment takes square grids, got {other_tokens} tokens for {tokens}")
        self.project = nn.Linear(other_width, width)

    def forward(self, other: Tensor) -> Tensor:
        """(BT, N', d') -> (BT, N, d)."""
        grid = self.project(other).transpose(1, 2).unflatten(2, (self.other_side, self.other_side))
        grid = F.interpolate(grid, size=(self.side, self.side), mode="bicubic", align_corners=False)
        return grid.flatten(2).transpose(1, 2)


class DualGuidance(nn.Module):
    """Weighs the channels and the positions of X under the guidance of the other stream's mean c.

    ``M_c = sigmoid(W4 ReLU(W3 mean_n(ReLU(W1 c) ReLU(W2 x_n))))`` in R^d,
    ``M_s = sigmoid(W7 (ReLU(W5 (x_n (1 + M_c))) ReLU(W6 c)))`` in R^N, and
    ``X (alpha M_c + beta M_s + 1 - alpha)``.

    Args:
        width: d.
        alpha: Share of the channel weights.
        beta: Share of the spatial weights.
    """

    def __init__(self, *, width: int, alpha: float, beta: float) -> None:
        super().__init__()
        half = width // 2
        self.alpha = alpha
        self.beta = beta
        self.channel_guide = nn.Linear(width, width)  # W1
        self.channel_own = nn.Linear(width, width)  # W2
        self.channel_down = nn.Linear(width, half)  # W3
        self.channel_up = nn.Linear(half, width)  # W4
        self.spatial_own = nn.Linear(width, half)  # W5
        self.spatial_guide = nn.Linear(width, half)  # W6
        self.spatial_score = nn.Linear(half, 1)  # W7

    def forward(self, tokens: Tensor, other: Tensor) -> Tensor:
        """X and the aligned other stream, (BT, N, d) each -> (BT, N, d)."""
        guide = other.mean(dim=1, keepdim=True)
        # The guide's factor is the same for every token, so the mean is that of the other factor alone.
        common = F.relu(self.channel_guide(guide)) * F.relu(self.channel_own(tokens)).mean(dim=1, keepdim=True)
        channels = self.channel_up(F.relu(self.channel_down(common))).sigmoid()
        agreement = F.relu(self.spatial_own(tokens * (1 + channels))) * F.relu(self.spatial_guide(guide))
        positions = self.spatial_score(agreement).sigmoid()
        return tokens * (self.alpha * channels + self.beta * positions + (1 - self.alpha))


class DgsctAdapter(nn.Module):
    """Ad(X; Y): what is added to X beside a block, given the tokens Y of the other stream.

    Args:
        align: Brings Y to the shape of X.
        attention: Brings the result into X.
        guidance: Weighs the channels and positions.
        bottleneck: Maps the result to what is added.
        unused: Layers that are there, and counted, but never called.
    """

    def __init__(
        self,
        *,
        align: TokenAlignment | GridAlignment,
        attention: LatentAttention,
        guidance: DualGuidance,
        bottleneck: Bottleneck,
        unused: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.align = align
        self.attention = attention
        self.guidance = guidance
        self.bottleneck = bottleneck
        self.unused = unused

    def forward(self, tokens: Tensor, other: Tensor) -> Tensor:
        """Own tokens (BT, N, d) and the other stream's (BT, N', d') -> (BT, N, d)."""
        aligned = self.align(other)
        out: Tensor = self.bottleneck(self.guidance(self.attention(tokens, aligned), aligned))
        return out
