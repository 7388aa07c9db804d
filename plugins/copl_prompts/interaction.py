"""Modal-interaction prompts by prompt-bank-based mutual coupling (Eqs. 5-9)."""

from typing import Literal

import torch
from torch import Tensor, nn

from copl_core.contracts import Bank, Factory, Layout, Mapper, Prompt
from copl_prompts.init import STD, random_tokens


class InteractionPrompts(Prompt):
    """I: in the last k paired blocks each modality sees its own drawn prompts and the other's, mapped over.

    Per block: compress each stream's tokens to L_I queries (Eq. 5), draw prompts from the bank with them (Eqs. 6-7),
    map each to the other modality (Eq. 8) and concatenate, ``I_v = [P_v, P'_a]``, ``I_a = [P_a, P'_v]`` (Eq. 9).

    Args:
        layout: Set by the framework.
        length: L_I; a frame gets 2 L_I interaction prompts.
        last: k, number of paired blocks counted from the end.
        bank: The prompt bank. Without one, P_v and P_a are learned tokens, the same for all samples, and nothing is
            compressed (the paper's "I without prompt bank").
        mapper: F of Eq. 8.
        share: ``auto``: one bank and one mapper per block for both modalities where their widths are equal;
            ``never``: own ones for each modality and direction.
        scale: Divide the logits of Eq. 5 by sqrt(d) (``sqrt_dim``) or not (``none``, the paper's formula).
        pool: Compress the tokens of each ``frame``, or of all frames of a ``clip`` together.
        std: Standard deviation of the initial tokens.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        mapper: Factory[Mapper],
        bank: Factory[Bank] | None = None,
        length: int = 20,
        last: int = 2,
        share: Literal["auto", "never"] = "auto",
        scale: Literal["none", "sqrt_dim"] = "none",
        pool: Literal["frame", "clip"] = "frame",
        std: float = STD,
    ) -> None:
        super().__init__(layout=layout)
        if length < 1 or last < 1:
            raise ValueError(f"length and last must be at least 1, got {length} and {last}")
        self.couplings = nn.ModuleDict()
        for index, width_v, width_a in layout.paired()[-last:]:
            self.couplings[str(index)] = Coupling(
                widths=(width_v, width_a),
                length=length,
                bank=bank,
                mapper=mapper,
                share=share == "auto" and width_v == width_a,
                scaled=scale == "sqrt_dim",
                frames=layout.frames if pool == "clip" else 1,
                std=std,
            )

    def pairs(self) -> tuple[int, ...]:
        """The last k paired blocks."""
        return tuple(int(index) for index in self.couplings)

    def forward(self, index: int, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(BT, 2 L_I, d_v) and (BT, 2 L_I, d_a); leading dimension 1 without a bank."""
        prompts: tuple[Tensor, Tensor] = self.couplings[str(index)](visual, audio)
        return prompts


class Coupling(nn.Module):
    """Mutual coupling of one pair of blocks.

    Args:
        widths: (d_v, d_a).
        length: L_I.
        bank: Makes the prompt bank, or None.
        mapper: Makes F.
        share: One bank and one mapper for both modalities.
        scaled: Scale the logits of Eq. 5.
        frames: How many frames are compressed together.
        std: Standard deviation of the initial tokens.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, int],
        length: int,
        bank: Factory[Bank] | None,
        mapper: Factory[Mapper],
        share: bool,
        scaled: bool,
        frames: int,
        std: float,
    ) -> None:
        super().__init__()
        width_v, width_a = widths
        self.scaled = scaled
        self.frames = frames
        # With a bank these are the latent tokens L_v, L_a of Eq. 5, without one the prompts P_v, P_a themselves.
        self.latent_visual = random_tokens(length, width_v, std=std)
        self.latent_audio = random_tokens(length, width_a, std=std)
        # One entry serves both modalities (shared), two are visual first.
        widths = widths[:1] if share else widths
        self.banks = nn.ModuleList([bank(width=width, length=length) for width in widths] if bank else [])
        self.mappers = nn.ModuleList(
            [mapper(source=source, target=target) for source, target in zip(widths, reversed(widths), strict=True)]
        )

    def forward(self, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """I_v and I_a of this pair (Eq. 9)."""
        prompts_v, prompts_a = self.latent_visual.unsqueeze(0), self.latent_audio.unsqueeze(0)
        if self.banks:
            prompts_v = self.banks[0](compress(self.latent_visual, visual, scaled=self.scaled, frames=self.frames))
            prompts_a = self.banks[-1](compress(self.latent_audio, audio, scaled=self.scaled, frames=self.frames))
        return (
            torch.cat([prompts_v, self.mappers[-1](prompts_a)], dim=1),
            torch.cat([prompts_a, self.mappers[0](prompts_v)], dim=1),
        )


def compress(latent: Tensor, tokens: Tensor, *, scaled: bool = False, frames: int = 1) -> Tensor:
    """Cross-modal attention of Eq. 5: ``Z' = L + softmax(L Z^T) Z``.

    Args:
        latent: L, (L_I, d).
        tokens: Z, (BT, N, d).
        scaled: Divide the logits by sqrt(d).
        frames: Number of consecutive items whose tokens are compressed together.

    Returns:
        Z', (BT, L_I, d).
    """
    items, _, width = tokens.shape
    merged = tokens.reshape(items // frames, -1, width)
    logits = latent @ merged.transpose(1, 2)
    if scaled:
        logits = logits / width**0.5
    return (latent + logits.softmax(dim=-1) @ merged).repeat_interleave(frames, dim=0)
