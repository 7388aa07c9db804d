"""Head: AVST with a pretrained sentence model for the questions."""

import hashlib
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from copl_avqa.encoders import QuestionEncoder
from copl_avqa.head import AvstHead
from copl_core.api import ConfigError, WeightsError
from copl_core.contracts import Batch, FeatureLayout, Names

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class SentenceEncoder(QuestionEncoder):
    """A frozen sentence model of Hugging Face from a local folder, mean over its tokens, then Linear to ``width``.

    MUSIC-AVQA has 33 templates and some hundred different questions. Each is embedded once, on the CPU, and remembered.
    The model itself is no part of the head: not in its checkpoint, which keeps the digest of its weights instead, and
    not among its parameters.

    Args:
        model: Folder with ``config.json``, the tokenizer's files and ``model.safetensors`` (or ``pytorch_model.bin``).
        width: D.

    Raises:
        ConfigError: ``transformers`` isn't installed, or the folder holds no such model.
    """

    digest: Tensor

    def __init__(self, *, model: str, width: int) -> None:
        super().__init__()
        self.folder = Path(model).expanduser()
        self._digest = hashlib.sha256(_weights(self.folder).read_bytes()).digest()
        self.projection = nn.Linear(_hidden_size(self.folder), width)
        self._embedded: dict[str, Tensor] = {}
        # In a tuple, so that it becomes no submodule.
        self._loaded: tuple[Any, nn.Module] | None = None
        self.register_buffer("digest", torch.tensor(list(self._digest), dtype=torch.uint8))
        self.register_load_state_dict_post_hook(_check_digest)

    def forward(self, batch: Batch) -> Tensor:
        """B texts, or B lists of K, under ``question_text`` -> (B, D) or (BK, D)."""
        texts = [text for asked in batch["question_text"] for text in ([asked] if isinstance(asked, str) else asked)]
        new = [text for text in dict.fromkeys(texts) if text not in self._embedded]
        if new:
            self._embedded.update(zip(new, self._embed(new), strict=True))
        embedded = torch.stack([self._embedded[text] for text in texts])
        encoded: Tensor = self.projection(embedded.to(self.projection.weight.device))
        return encoded

    @torch.no_grad()
    def _embed(self, texts: list[str]) -> Tensor:
        """Mean over the tokens of each text, fill excluded: (n, hidden) on the CPU."""
        tokenizer, model = self._load()
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        # Under autocast the same text would get another embedding than without.
        with torch.autocast("cpu", enabled=False):
            states: Tensor = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None].to(states.dtype)
        mean: Tensor = (states * mask).sum(dim=1) / mask.sum(dim=1)
        return mean

    def _load(self) -> tuple[Any, nn.Module]:
        if self._loaded is None:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging

            logging.disable_progress_bar()  # it would run through the training's own
            try:
                tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
                model = AutoModel.from_pretrained(self.folder, local_files_only=True)
            except UnpicklingError as error:
                raise WeightsError(
                    f"cannot load the sentence model in {self.folder}: {_weights(self.folder).name} holds more than "
                    "tensors, which is not loaded: it can run code; use a model with model.safetensors"
                ) from error
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise WeightsError(f"cannot load the sentence model in {self.folder}: {error}") from error
            self._loaded = tokenizer, model.float().eval().requires_grad_(False)
        return self._loaded


class AvstSentence(AvstHead):
    """AVST with a pretrained, frozen sentence model for the questions.

    Args:
        visual: Shapes of the visual features.
        audio: Shapes of the audio features.
        frames: T.
        names: ``answers`` by number, which say how many there are.
        model: Folder of the sentence model, see ``SentenceEncoder``.
        answers: Number of answers where no data set says it: 42 for MUSIC-AVQA.
        width: D, a multiple of 4 and of ``attention_heads``.
        attention_heads: Heads of the attention to frames.
        dropout: In that attention and the layers after it.
        match_weight: Weight of the matching loss; 0 leaves the loss and its layers out.
        tuned_negatives: Send frames of other videos through the tuner, too, with the sound that they don't belong to.
            As published they take the frozen encoder alone: then prompts tell them apart from the clip's own frames
            whatever is seen and heard, and the matching loss teaches nothing.
    """

    def __init__(
        self,
        *,
        visual: FeatureLayout,
        audio: FeatureLayout,
        frames: int,
        names: Names | None = None,
        model: str,
        answers: int = 42,
        width: int = 512,
        attention_heads: int = 4,
        dropout: float = 0.1,
        match_weight: float = 0.5,
        tuned_negatives: bool = False,
    ) -> None:
        super().__init__(
            visual=visual,
            audio=audio,
            frames=frames,
            names=names,
            question=SentenceEncoder(model=model, width=width),
            answers=answers,
            width=width,
            attention_heads=attention_heads,
            dropout=dropout,
            match_weight=match_weight,
            tuned_negatives=tuned_negatives,
        )


def _check_digest(encoder: SentenceEncoder, _: Any) -> None:
    """After loading a checkpoint."""
    if bytes(encoder.digest.tolist()) != encoder._digest:
        raise WeightsError(
            f"the head was trained with a sentence model of other weights than those in {encoder.folder}; "
            "set task.head.model to the one it was trained with"
        )


def _weights(folder: Path) -> Path:
    """The file with the model's weights."""
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"head.model: no sentence model in {folder}: it has no config.json; give the folder of a Hugging Face model"
        )
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"head.model: {folder} holds none of {', '.join(_WEIGHTS)}; download the model's weights")


def _hidden_size(folder: Path) -> int:
    try:
        from transformers import AutoConfig
    except ImportError:
        raise ConfigError(
            "head avst_sentence needs the package transformers: pip install 'copl[avqa]', or use the head avst"
        ) from None
    try:
        size = AutoConfig.from_pretrained(folder, local_files_only=True).hidden_size
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"head.model: {folder} holds no sentence model: {error}") from error
    return int(size)
