"""Modal-specific prompts (Eq. 2): global ones for the whole clip, local ones for each frame."""

from typing import Literal

from torch import Tensor, nn

from copl_core.contracts import Layout, Prompt
from copl_prompts.init import STD, random_tokens


class _PerBlock(Prompt):
    """Own tokens for every paired block and modality, named ``visual.<block>`` and ``audio.<block>``."""

    def __init__(self, *, layout: Layout, length: int, std: float) -> None:
        super().__init__(layout=layout)
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        self.length = length
        self.visual = nn.ParameterDict({str(i): random_tokens(length, d, std=std) for i, d, _ in layout.paired()})
        self.audio = nn.ParameterDict({str(i): random_tokens(length, d, std=std) for i, _, d in layout.paired()})

    def pairs(self) -> tuple[int, ...]:
        """Every paired block."""
        return tuple(index for index, _, _ in self.layout.paired())


class GlobalPrompts(_PerBlock):
    """M^g: the same L_g tokens in every frame of every clip.

    Args:
        layout: Set by the framework.
        length: L_g, tokens per block and modality.
        std: Standard deviation of the initial tokens.
    """

    def __init__(self, *, layout: Layout, length: int = 20, std: float = STD) -> None:
        super().__init__(layout=layout, length=length, std=std)

    def forward(self, index: int, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(1, L_g, d_v) and (1, L_g, d_a)."""
        return self.visual[str(index)].unsqueeze(0), self.audio[str(index)].unsqueeze(0)


class FramePrompts(_PerBlock):
    """M^f: L_f = T tokens, one for each position in the clip.

    Args:
        layout: Set by the framework.
        attach: ``own``: frame t sees token t; ``all``: every frame sees all T tokens.
        std: Standard deviation of the initial tokens.
    """

    def __init__(self, *, layout: Layout, attach: Literal["own", "all"] = "own", std: float = STD) -> None:
        super().__init__(layout=layout, length=layout.frames, std=std)
        self.attach = attach

    def forward(self, index: int, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(BT, 1, d_v) and (BT, 1, d_a) with ``own``; (1, T, d_v) and (1, T, d_a) with ``all``."""
        tokens_v, tokens_a = self.visual[str(index)], self.audio[str(index)]
        if self.attach == "all":
            return tokens_v.unsqueeze(0), tokens_a.unsqueeze(0)
        clips = visual.shape[0] // self.layout.frames
        return tokens_v.unsqueeze(1).repeat(clips, 1, 1), tokens_a.unsqueeze(1).repeat(clips, 1, 1)
