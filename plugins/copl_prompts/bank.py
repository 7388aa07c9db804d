"""Prompt banks (Eqs. 6-7): each frame draws its prompts as weighted means of q learned entries."""

from torch import Tensor

from copl_core.contracts import Bank
from copl_prompts.init import STD, random_tokens


class PromptBank(Bank):
    """Entries are vectors in R^d; every query has its own weights over them.

    ``e = softmax(Z' B^T)`` over the q entries (Eq. 6), ``P = e B`` (Eq. 7).

    Args:
        width: d, set by the framework.
        length: L_I, set by the framework; unused here, since entries are single vectors.
        size: q, number of entries.
        std: Standard deviation of the initial entries.
    """

    def __init__(self, *, width: int, length: int, size: int = 10, std: float = STD) -> None:
        super().__init__()
        self.entries = random_tokens(size, width, std=std)

    def forward(self, queries: Tensor) -> Tensor:
        """(BT, L_I, d) -> (BT, L_I, d)."""
        weights = (queries @ self.entries.T).softmax(dim=-1)
        return weights @ self.entries


class SetBank(Bank):
    """Entries are whole prompts in R^(L_I x d); a frame has one weight per entry, from its mean query.

    The other reading of Eqs. 6-7 (docs/fidelity.md, F6). The mean query is compared with the mean of an entry's
    vectors.

    Args:
        width: d, set by the framework.
        length: L_I, set by the framework.
        size: q, number of entries.
        std: Standard deviation of the initial entries.
    """

    def __init__(self, *, width: int, length: int, size: int = 10, std: float = STD) -> None:
        super().__init__()
        self.entries = random_tokens(size, length, width, std=std)

    def forward(self, queries: Tensor) -> Tensor:
        """(BT, L_I, d) -> (BT, L_I, d)."""
        weights = (queries.mean(dim=1) @ self.entries.mean(dim=1).T).softmax(dim=-1)
        return (weights @ self.entries.flatten(1)).unflatten(1, self.entries.shape[1:])
