"""Question encoders: from the question of a batch to one vector each."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from copl_core.contracts import Batch


class QuestionEncoder(nn.Module, ABC):
    """Turns questions into the vectors that all parts of the head are asked with."""

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Encode ``question`` (B, words) or (B, K, words) int64, or ``question_text``, a list of B texts, or of K each.

        Returns:
            (B, D) or (BK, D), on the device of the encoder's parameters.
        """


class LstmEncoder(QuestionEncoder):
    """LAVISH's: word embedding, tanh, one LSTM over all positions (fill included), both its states, tanh, Linear.

    Args:
        words: Size of the vocabulary, ``<pad>`` included.
        width: D.
    """

    def __init__(self, *, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.projection = nn.Linear(2 * width, width)

    def forward(self, batch: Batch) -> Tensor:
        """(B, words) or (B, K, words) under ``question`` -> (B, D) or (BK, D)."""
        words = batch["question"].flatten(0, -2)
        _, (hidden, cell) = self.lstm(self.embedding(words).tanh())  # both (1, B, D)
        encoded: Tensor = self.projection(torch.cat([hidden[0], cell[0]], dim=1).tanh())
        return encoded
