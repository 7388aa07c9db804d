"""Random initialisation shared by all prompts ("randomly initialized" in the paper; see docs/fidelity.md, F14)."""

import torch
from torch import Tensor, nn

#: Standard deviation the field uses for tokens.
STD = 0.02


def random_tokens(*shape: int, std: float = STD) -> nn.Parameter:
    """A parameter drawn from a normal distribution truncated at two standard deviations."""
    tokens: Tensor = torch.empty(*shape)
    nn.init.trunc_normal_(tokens, std=std, a=-2 * std, b=2 * std)
    return nn.Parameter(tokens)
