"""A tiny sentence model on disk, for the head that reads questions with one."""

from pathlib import Path

import pytest
import torch

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "is", "the", "piano", "left", "how", "many", "?"]


def write_sentence_model(folder: Path) -> Path:
    """Write a random BERT as Hugging Face saves it; skips the test where transformers is missing."""
    transformers = pytest.importorskip("transformers")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder
