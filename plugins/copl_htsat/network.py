"""HTS-AT's modules, named as in the official checkpoints.

Ke Chen et al., "HTS-AT: A Hierarchical Token-Semantic Audio Transformer for Sound Classification and Detection",
ICASSP 2022; its blocks are those of Swin Transformer (Liu et al., ICCV 2021). The token-semantic module and the
classifier are left out: an encoder has no use for them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from copl_htsat.spectrogram import LogMel, fold

#: Side of a patch, in pixels of the folded spectrogram.
PATCH = 4
#: Added to the logits of tokens that only the cyclic shift has made neighbours.
MASKED = -100.0


class PatchEmbed(nn.Module):
    """Patches to tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, kernel_size=PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, picture: Tensor) -> Tensor:
        """(BT, 1, H, W) -> (BT, H / 4 * W / 4, d)."""
        return self.norm(self.proj(picture).flatten(2).transpose(1, 2))


class WindowAttention(nn.Module):
    """Parameters of the attention within windows; ``copl_htsat.attention`` computes it."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _relative_position_index(window), persistent=False)


class Mlp(nn.Module):
    """Parameters of the feed-forward branch; ``copl_htsat.attention`` runs it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * width, width)


class SwinBlock(nn.Module):
    """One pre-norm block over a square grid of tokens.

    Args:
        width: d.
        heads: Of the attention.
        side: Of the grid, in tokens.
        window: Side of a window; a smaller grid is one window.
        shifted: Shift the windows by half their side. Not done where one window covers the grid.
    """

    attn_mask: Tensor | None

    def __init__(self, width: int, heads: int, side: int, window: int, shifted: bool) -> None:
        super().__init__()
        self.width = width
        self.side = side
        self.window = min(window, side)
        self.shift = window // 2 if shifted and side > window else 0
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, self.window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        mask = _shift_mask(side, self.window, self.shift) if self.shift else None
        self.register_buffer("attn_mask", mask, persistent=False)


class PatchMerging(nn.Module):
    """Four neighbouring tokens become one of twice the width.

    Args:
        width: d of the incoming tokens.
        side: Of their grid.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(BT, N, d) -> (BT, N / 4, 2 d)."""
        grid = tokens.unflatten(1, (self.side, self.side))
        # Column by column, as Swin orders them.
        corners = [grid[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1).flatten(1, 2)))


class Stage(nn.Module):
    """Blocks of one resolution, every second one shifted, and the merging after them (none after the last stage)."""

    def __init__(self, width: int, heads: int, side: int, window: int, depth: int, merging: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SwinBlock(width, heads, side, window, index % 2 == 1) for index in range(depth))
        self.downsample = PatchMerging(width, side) if merging else None


class HTSATNetwork(nn.Module):
    """The whole encoder; the defaults are those of the official checkpoints.

    Args:
        spec_size: Height and width of the folded spectrogram.
        mel_bins: F; ``spec_size / F`` parts of the spectrogram lie on top of each other.
        embed_dim: Width of the first stage; each further one has twice the width of the one before.
        depths: Blocks of each stage.
        heads: Attention heads of each stage.
        window: Side of a window, in tokens.
    """

    def __init__(
        self,
        *,
        spec_size: int = 256,
        mel_bins: int = 64,
        embed_dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (4, 8, 16, 32),
        window: int = 8,
    ) -> None:
        super().__init__()
        self.spec_size = spec_size
        self.frames = spec_size * spec_size // mel_bins
        self.spectrogram = LogMel(mel_bins=mel_bins)
        self.bn0 = nn.BatchNorm2d(mel_bins)
        self.patch_embed = PatchEmbed(embed_dim)
        self.layers = nn.ModuleList(
            Stage(embed_dim * 2**i, heads[i], spec_size // PATCH // 2**i, window, depth, i + 1 < len(depths))
            for i, depth in enumerate(depths)
        )
        self.norm = nn.LayerNorm(embed_dim * 2 ** (len(depths) - 1))
        self.apply(_initialize)

    def picture(self, waveform: Tensor) -> Tensor:
        """Folded log-mel spectrogram, normalised per mel bin: (BT, samples) -> (BT, 1, spec_size, spec_size)."""
        spectrogram = self.bn0(self.spectrogram(waveform).unsqueeze(3)).squeeze(3)
        return fold(spectrogram, self.spec_size)


def _initialize(module: nn.Module) -> None:
    """Swin's own initialisation, for encoders without pretrained weights."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _relative_position_index(window: int) -> Tensor:
    """Row of the bias table for every pair of tokens of a window: (n, n) with n = window²."""
    place = torch.arange(window**2)
    rows, columns = place // window, place % window
    down = rows[:, None] - rows[None, :] + window - 1
    right = columns[:, None] - columns[None, :] + window - 1
    return down * (2 * window - 1) + right


def _shift_mask(side: int, window: int, shift: int) -> Tensor:
    """Additive mask (W, n, n) of the shifted windows: tokens that come from opposite edges don't see each other."""
    wrapped = torch.arange(side) >= side - shift
    region = 2 * wrapped[:, None] + wrapped[None, :].int()
    count = side // window
    region = region.view(count, window, count, window).transpose(1, 2).reshape(count**2, window**2)
    return MASKED * (region[:, :, None] != region[:, None, :]).float()
