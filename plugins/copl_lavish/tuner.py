"""LAVISH: adapters beside the attention and the feed-forward branch of every pair of blocks."""

from functools import partial

from torch import Tensor

from copl_core.contracts import Layout, Pair
from copl_lavish.adapter import (
    AdapterPair,
    AdapterTuner,
    Bottleneck,
    LatentAttention,
    LatentInit,
    LavishAdapter,
    NormOrder,
)


class LAVISH(AdapterTuner):
    """Four adapters per pair of blocks, two for each stream, each reading the other stream (LAVISH, CVPR 2023).

    The defaults are the form that the authors released for AVE. Their form for AVS differs in ways that hamper the
    training; ``norm_order``, ``latent_init`` and ``audio_gate`` give each of them alone, ``compat`` all.

    Args:
        layout: Set by the framework.
        reduction: r; adapters are d / r wide inside.
        groups: G of their projections.
        latents: m, latent tokens of an adapter.
        batch_norm: With batch norms after both projections.
        norm_order: ``gate_after``: an adapter's gate follows its last layer norm (released for AVE and AVQA);
            ``gate_before``: it precedes it (AVS).
        latent_init: Initial latents: ``uniform`` in 0..1 (AVE), ``normal``, or ``zeros`` (AVS, AVQA), which remain m
            copies of one latent.
        audio_gate: Audio adapters have the gate as well. Without it (AVS) they add tokens of unit variance to every
            block from the first step on.
        compat: Adapters as released for AVS, whatever the three options before say: ``gate_before``, ``zeros``, no
            audio gate, and a first layer norm that is there, and counted, but not applied.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        reduction: int = 8,
        groups: int = 2,
        latents: int = 2,
        batch_norm: bool = True,
        norm_order: NormOrder = "gate_after",
        latent_init: LatentInit = "uniform",
        audio_gate: bool = True,
        compat: bool = False,
    ) -> None:
        if compat:
            norm_order, latent_init, audio_gate = "gate_before", "zeros", False
        attention = partial(LatentAttention, latents=latents, init=latent_init)
        bottleneck = partial(
            Bottleneck,
            reduction=reduction,
            groups=groups,
            batch_norm=batch_norm,
            norm_order=norm_order,
            norm_before=not compat,
        )

        def adapter(width: int, other_width: int, gated: bool) -> LavishAdapter:
            return LavishAdapter(
                other_width=other_width,
                attention=attention(width=width),
                bottleneck=bottleneck(width=width, gated=gated),
            )

        def both(_: int, width_v: int, width_a: int) -> AdapterPair:
            return AdapterPair(
                visual=adapter(width_v, width_a, gated=True), audio=adapter(width_a, width_v, gated=audio_gate)
            )

        super().__init__(layout=layout, make=both)

    def step(self, pair: Pair, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Add both adapters to either residual; plain walk of a step with one block."""
        index = str(pair.index)
        if index not in self.beside_attention:
            return self.walk(pair, visual, audio)
        extra_v, extra_a = self.beside_attention[index](visual, audio)
        branch_v, branch_a = self.attention(pair, visual, audio)
        visual, audio = visual + branch_v + extra_v, audio + branch_a + extra_a
        extra_v, extra_a = self.beside_feedforward[index](visual, audio)
        branch_v, branch_a = self.feedforward(pair, visual, audio)
        return visual + branch_v + extra_v, audio + branch_a + extra_a
