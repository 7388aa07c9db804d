"""CoPL: the tuner that puts collaborative prompts between the layers of two frozen encoders."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from copl_core.contracts import Factory, Features, Layout, Loss, Pair, Prompt, Tuner


class CoPL(Tuner):
    """Concatenates the prompts of all its families at every pair of blocks (Eqs. 3-4).

    A family that a config leaves out is absent: no parameters, no computation.

    Args:
        layout: Set by the framework.
        prompts: The families by name: in the paper ``global``, ``frame`` and ``interaction``.
        losses: Auxiliary losses by name: in the paper ``consistency``.
        first_block: Prompts from this pair on; 0 is the paper. What lies before runs without autograd.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        prompts: Mapping[str, Factory[Prompt]],
        losses: Mapping[str, Factory[Loss]] | None = None,
        first_block: int = 0,
    ) -> None:
        if not 0 <= first_block < len(layout.pairs):
            raise ValueError(f"first_block must be in 0..{len(layout.pairs) - 1}, got {first_block}")
        super().__init__(layout=replace(layout, first_block=first_block))
        self.prompts = nn.ModuleDict({name: make(layout=self.layout) for name, make in prompts.items()})
        self.losses = nn.ModuleDict({name: make(layout=layout) for name, make in (losses or {}).items()})
        self._families: dict[int, list[str]] = {}
        for name, family in self.prompts.items():
            for index in family.pairs():
                self._families.setdefault(index, []).append(name)

    @property
    def first_block(self) -> int:
        """The first pair that gets prompts."""
        return min(self._families, default=len(self.layout.pairs))

    def step(self, pair: Pair, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Walk a pair with [M, I] as extra keys and values of both blocks."""
        families = self._families.get(pair.index)
        if not families:
            return self.walk(pair, visual, audio)
        drawn = [self.prompts[name](pair.index, visual, audio) for name in families]
        prompts_v, prompts_a = (_concatenate([prompts[side] for prompts in drawn]) for side in (0, 1))
        return self.walk(pair, visual, audio, prompts_v, prompts_a)

    def auxiliary_losses(self, visual: Features, audio: Features) -> dict[str, Tensor]:
        """The losses of the config, weighted by themselves."""
        return {f"loss_{name}": loss(visual, audio) for name, loss in self.losses.items()}

    def additional_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All but those of the losses (docs/fidelity.md, F10)."""
        yield from self.prompts.named_parameters(prefix="prompts")


def _concatenate(prompts: list[Tensor]) -> Tensor:
    """Concatenate (BT or 1, P_i, d) along P, repeating shared prompts only if others differ per frame."""
    items = max(tokens.shape[0] for tokens in prompts)
    return torch.cat([tokens.expand(items, -1, -1) for tokens in prompts], dim=1)
