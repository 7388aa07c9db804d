"""LAVISH's adapter: attention to the other modality through a few latent tokens, then a grouped bottleneck.

Lin et al., "Vision Transformers are Parameter-Efficient Audio-Visual Learners", CVPR 2023.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copl_core.contracts import Layout, Tuner

LatentInit = Literal["uniform", "normal", "zeros"]
NormOrder = Literal["gate_after", "gate_before"]

#: Standard deviation of ``normal`` latents, the one of prompts.
STD = 0.02


class LatentAttention(nn.Module):
    """Cross-attention through m latent tokens, so that its cost is linear in both numbers of tokens.

    ``Z = L + softmax(L Y^T) Y``, then ``X + g softmax(X Z^T) Z`` with a scalar gate g that starts at 0. Neither
    product is scaled by the width.

    Args:
        width: d.
        latents: m.
        init: Of L: ``uniform`` in 0..1, ``normal`` with a standard deviation of 0.02, or ``zeros``. Zeros stay equal to
            one another throughout the training: m latents act as one.
    """

    def __init__(self, *, width: int, latents: int, init: LatentInit = "uniform") -> None:
        super().__init__()
        if latents < 1:
            raise ValueError(f"latents must be at least 1, got {latents}")
        self.latents = nn.Parameter(torch.zeros(latents, width))
        self.gate = nn.Parameter(torch.zeros(1))
        if init == "uniform":
            nn.init.uniform_(self.latents)
        elif init == "normal":
            nn.init.normal_(self.latents, std=STD)

    def forward(self, tokens: Tensor, other: Tensor) -> Tensor:
        """Own tokens X (BT, N, d) and the other stream's Y (BT, N', d) -> (BT, N, d)."""
        summary = self.latents + (self.latents @ other.transpose(1, 2)).softmax(dim=-1) @ other
        weights = (tokens @ summary.transpose(1, 2)).softmax(dim=-1)
        return tokens + weights @ (self.gate * summary)


class GroupedLinear(nn.Module):
    """A convolution of size 1 over the tokens, in groups and without bias, initialised as torch does.

    Args:
        source: Incoming width.
        target: Outgoing width.
        groups: G; group i maps the i-th part of the incoming channels to the i-th part of the outgoing ones.
    """

    def __init__(self, *, source: int, target: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        bound = (source // groups) ** -0.5
        self.weight = nn.Parameter(torch.empty(groups, source // groups, target // groups).uniform_(-bound, bound))

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., source) -> (..., target)."""
        parts = tokens.unflatten(-1, (self.groups, -1))
        return torch.einsum("...gi,gio->...go", parts, self.weight).flatten(-2)


class Bottleneck(nn.Module):
    """``g LN(BN(Up(ReLU(BN(Down(LN(X)))))))`` with a scalar gate g that starts at 0, so that nothing is added at first.

    Args:
        width: d.
        reduction: r; the hidden width is d / r.
        groups: G of both projections.
        batch_norm: With both batch norms (over all tokens of all frames), or without.
        gated: With the gate, or without.
        norm_order: The gate after the last layer norm, or (``gate_before``) the norm after the gate, which undoes all
            of it but its sign and whose gradient at 0 is 1 / sqrt(eps), about 316.
        norm_before: Apply the first layer norm. It is there in any case.
    """

    def __init__(
        self,
        *,
        width: int,
        reduction: int,
        groups: int,
        batch_norm: bool,
        gated: bool = True,
        norm_order: NormOrder = "gate_after",
        norm_before: bool = True,
    ) -> None:
        super().__init__()
        if min(reduction, groups) < 1 or width % (reduction * groups):
            raise ValueError(f"the width {width} is not divisible by reduction x groups, {reduction} x {groups}")
        hidden = width // reduction
        self.applies_norm_before = norm_before
        self.gate_first = norm_order == "gate_before"
        self.norm_before = nn.LayerNorm(width)
        self.down = GroupedLinear(source=width, target=hidden, groups=groups)
        self.norm_down = nn.BatchNorm1d(hidden) if batch_norm else nn.Identity()
        self.up = GroupedLinear(source=hidden, target=width, groups=groups)
        self.norm_up = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.norm_after = nn.LayerNorm(width)
        self.gate = nn.Parameter(torch.zeros(1)) if gated else None

    def forward(self, tokens: Tensor) -> Tensor:
        """(BT, N, d) -> (BT, N, d), what is added to the stream."""
        inside = self.norm_before(tokens) if self.applies_norm_before else tokens
        # Frames and tokens in one dimension: a batch norm knows (items, channels).
        hidden = F.relu(self.norm_down(self.down(inside.flatten(0, 1))))
        out: Tensor = self.norm_up(self.up(hidden)).unflatten(0, tokens.shape[:2])
        if self.gate is None:
            return self.norm_after(out)
        if self.gate_first:
            return self.norm_after(self.gate * out)
        return self.gate * self.norm_after(out)


class LavishAdapter(nn.Module):
    """Ad(X; Y): what a branch beside a block adds to X, given the tokens Y of the other stream.

    Args:
        other_width: d'. Where it differs from d, a linear layer maps Y to d first: the original knows shared encoders
            only, so this is our definition.
        attention: Brings Y into X.
        bottleneck: Maps the result to what is added.
    """

    def __init__(self, *, other_width: int, attention: LatentAttention, bottleneck: Bottleneck) -> None:
        super().__init__()
        width = attention.latents.shape[1]
        self.match_width = nn.Identity() if other_width == width else nn.Linear(other_width, width)
        self.attention = attention
        self.bottleneck = bottleneck

    def forward(self, tokens: Tensor, other: Tensor) -> Tensor:
        """Own tokens (BT, N, d) and the other stream's (BT, N', d') -> (BT, N, d)."""
        out: Tensor = self.bottleneck(self.attention(tokens, self.match_width(other)))
        return out


class AdapterPair(nn.Module):
    """The adapters of both streams at one point of a pair of blocks.

    Args:
        visual: Called with the visual tokens, then the audio tokens.
        audio: The other way round.
    """

    def __init__(self, *, visual: nn.Module, audio: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        self.audio = audio

    def forward(self, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(BT, N_v, d_v) and (BT, N_a, d_a) -> what is added to either, of the same shapes."""
        return self.visual(visual, audio), self.audio(audio, visual)


class AdapterTuner(Tuner):
    """A tuner with a pair of adapters at two points of every pair of blocks: beside the attention and the feed-forward.

    Args:
        layout: Set by the framework.
        make: Makes the adapters of one point, given the index of the pair and the widths of its blocks.
    """

    def __init__(self, *, layout: Layout, make: Callable[[int, int, int], AdapterPair]) -> None:
        super().__init__(layout=layout)
        self.beside_attention = nn.ModuleDict()
        self.beside_feedforward = nn.ModuleDict()
        for index, width_v, width_a in layout.paired():
            for point in (self.beside_attention, self.beside_feedforward):
                point[str(index)] = make(index, width_v, width_a)

    @property
    def first_block(self) -> int:
        """The first step with a block on both sides: 0 unless one encoder is the deeper from its first stage on."""
        return self.layout.paired()[0][0]
