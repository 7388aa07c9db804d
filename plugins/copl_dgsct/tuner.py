"""DG-SCT: dual-guided adapters at two points of every pair of blocks."""

from dataclasses import replace
from functools import partial
from typing import Literal

from torch import Tensor, nn

from copl_core.contracts import Layout, Pair
from copl_dgsct.adapter import DgsctAdapter, DualGuidance, GridAlignment, TokenAlignment
from copl_lavish.adapter import AdapterPair, AdapterTuner, Bottleneck, LatentAttention, LatentInit, NormOrder


class DGSCT(AdapterTuner):
    """Four adapters per pair of blocks, two for each stream, each reading the other stream (DG-SCT, NeurIPS 2023).

    The visual adapters stand beside the attention and the feed-forward branch. The audio block runs whole before its
    first adapter's output is added, and the second is added to the result.

    The method's spatial maps are not kept: features are pooled by the encoders themselves, as in the comparison of the
    CoPL paper, which gives DG-SCT the same plain classifier. Its temporal attention is a module after the encoders and
    so not part of a tuner.

    The original's unsound details are options, as in ``copl_lavish``. Its released settings and their parameters on
    Swin-V2-L and HTS-AT:

    - AVE: the defaults; 188,538,816, the original 48 more, one in each adapter, which it never uses. The 187.1 M of the
      papers are those of ``groups: 4, batch_norm: false``.
    - AVS-S4: ``batch_norm: false, align: bicubic, compat: true``; 188,505,720 like the original.
    - AVQA: ``groups: 4, latents: 2, batch_norm: false, latent_init: zeros, audio_gate: false``; 186,336,456 like the
      original.

    Args:
        layout: Set by the framework.
        reduction: r; adapters are d / r wide inside.
        groups: G of their projections.
        latents: m, latent tokens of an adapter.
        batch_norm: With batch norms after both projections.
        align: How an adapter brings the other stream to its own tokens: ``tokens``, a learned mixture, or ``bicubic``
            interpolation (released for AVS-S4).
        alpha: Share of the channel attention; 0.3, released for MS3 0.2.
        beta: Share of the spatial attention; 0.05, released for MS3 0.1.
        norm_order: ``gate_after``: an adapter's gate follows its last layer norm (AVE, AVQA); ``gate_before``: it
            precedes it (AVS).
        latent_init: Initial latents: ``uniform`` in 0..1 (AVE), ``normal``, or ``zeros`` (AVS, AVQA), which remain m
            copies of one latent.
        audio_gate: Audio adapters have the gate as well (AVE).
        compat: Adapters as released for AVS, whatever the three options before say: ``gate_before``, ``zeros``, no
            audio gate, a first layer norm that is not applied, and with it two layers that are there, and counted, but
            never called: a temporal gate and, beside ``bicubic``, the mixture of tokens.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        reduction: int = 8,
        groups: int = 2,
        latents: int = 32,
        batch_norm: bool = True,
        align: Literal["tokens", "bicubic"] = "tokens",
        alpha: float = 0.3,
        beta: float = 0.05,
        norm_order: NormOrder = "gate_after",
        latent_init: LatentInit = "uniform",
        audio_gate: bool = True,
        compat: bool = False,
    ) -> None:
        if compat:
            norm_order, latent_init, audio_gate = "gate_before", "zeros", False
        alignment = TokenAlignment if align == "tokens" else GridAlignment
        attention = partial(LatentAttention, latents=latents, init=latent_init)
        guidance = partial(DualGuidance, alpha=alpha, beta=beta)
        bottleneck = partial(
            Bottleneck,
            reduction=reduction,
            groups=groups,
            batch_norm=batch_norm,
            norm_order=norm_order,
            norm_before=not compat,
        )

        def adapter(own: tuple[int, int], other: tuple[int, int], gated: bool) -> DgsctAdapter:
            (tokens, width), (other_tokens, other_width) = own, other
            unused = nn.ModuleDict()
            if compat:
                unused["temporal_gate"] = nn.Linear(width, 1)
            if compat and align == "bicubic":
                unused["mix"] = nn.Conv1d(other_tokens, tokens, kernel_size=1)
            return DgsctAdapter(
                align=alignment(tokens=tokens, width=width, other_tokens=other_tokens, other_width=other_width),
                attention=attention(width=width),
                guidance=guidance(width=width),
                bottleneck=bottleneck(width=width, gated=gated),
                unused=unused,
            )

        def both(index: int, width_v: int, width_a: int) -> AdapterPair:
            visual = (layout.pairs[index].visual_tokens, width_v)
            audio = (layout.pairs[index].audio_tokens, width_a)
            return AdapterPair(
                visual=adapter(visual, audio, gated=True), audio=adapter(audio, visual, gated=audio_gate)
            )

        super().__init__(layout=layout, make=both)

    def step(self, pair: Pair, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Visual adapters beside both branches, audio adapters after the block; plain walk of a step with one block."""
        index = str(pair.index)
        if index not in self.beside_attention:
            return self.walk(pair, visual, audio)
        extra_v, extra_a = self.beside_attention[index](visual, audio)
        visual = visual + pair.visual.attention(visual) + extra_v
        _, audio = self.walk(replace(pair, visual=None, shared=False), visual, audio)
        audio = audio + extra_a
        extra_v, extra_a = self.beside_feedforward[index](visual, audio)
        return visual + pair.visual.feedforward(visual) + extra_v, audio + extra_a
