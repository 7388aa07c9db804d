"""Visual prompt tuning on both streams: learned tokens in every block, nothing between the modalities."""

from functools import partial

from copl_core.contracts import Layout
from copl_prompts.copl import CoPL
from copl_prompts.init import STD
from copl_prompts.modal import GlobalPrompts


class VPT(CoPL):
    """VPT-deep (Jia et al., ECCV 2022): CoPL with global prompts only, in every paired block.

    Args:
        layout: Set by the framework.
        length: Tokens per block and modality.
        first_block: Prompts from this pair on. What lies before runs without autograd.
        std: Standard deviation of the initial tokens.
    """

    def __init__(self, *, layout: Layout, length: int = 20, first_block: int = 0, std: float = STD) -> None:
        prompts = {"global": partial(GlobalPrompts, length=length, std=std)}
        super().__init__(layout=layout, prompts=prompts, first_block=first_block)
