"""Head: AVST (Li et al. 2022) as LAVISH adapts it to transformers, with its losses."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from copl_avqa.encoders import LstmEncoder, QuestionEncoder
from copl_core.api import ConfigError
from copl_core.contracts import Batch, FeatureLayout, Features, Head, Names, Predictions


class AvstHead(Head):
    """Grounds the sound of a frame in its pixels, then the question in the frames, and answers.

    1. Both features go to width D; those of the sound through ReLU and Linear to a (B, T, D).
    2. Spatial grounding: a softmax over the cosines between the sound and each cell of the frame's map weighs the
       cells. Their mean before and their sum after the weighing give g (B, T, D).
    3. Temporal grounding: the question attends to the T frames in g, and to those in a, with weights of its own.
    4. Both results, the means of g and a added, are fused, multiplied by the question, and classified.

    While training, the batch may hold features of frames of other videos. Then ``losses`` also asks for telling from
    (a, g) whether sound and frame belong together.

    A subclass chooses the question encoder; the rest is common.

    Args:
        visual: Shapes of the visual features; the last map is used, so prefix tokens are not.
        audio: Shapes of the audio features; the pooled one is used.
        frames: T.
        names: ``answers`` by number, which say how many there are.
        question: Encodes the questions, to ``width``.
        answers: Number of answers where no data set says it.
        width: D.
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
        names: Names | None,
        question: QuestionEncoder,
        answers: int,
        width: int,
        attention_heads: int,
        dropout: float,
        match_weight: float,
        tuned_negatives: bool,
    ) -> None:
        super().__init__(visual=visual, audio=audio, frames=frames)
        answers = len((names or {}).get("answers", ())) or answers
        _check(width, answers, attention_heads, dropout, match_weight)
        self.match_weight = match_weight
        self.tuned_negatives = tuned_negatives
        self.question = question
        self.visual_projection = nn.Linear(visual.pyramid[-1][0], width)
        self.audio_projection = nn.Linear(audio.width, width)
        self.audio_hidden = nn.Linear(width, width)
        self.grounding = nn.Linear(2 * width, width)
        self.match = _pair_classifier(width) if match_weight else None
        self.visual_time = TemporalGrounding(width=width, heads=attention_heads, dropout=dropout)
        self.audio_time = TemporalGrounding(width=width, heads=attention_heads, dropout=dropout)
        self.fusion = nn.Linear(2 * width, width)
        self.classifier = nn.Linear(width, answers)

    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """Answer the questions.

        Args:
            visual: Features of the frames.
            audio: Features of the sound.
            batch: What the question encoder reads: Q questions, one for each of the B clips, or K for each. While
                training perhaps ``negative_features``, those of B * T frames of other videos.

        Returns:
            ``logits`` (Q, answers); for a person to look at, ``grounding`` (B, T, H, W), weights of the cells of each
            frame, and ``visual_attention`` and ``audio_attention`` (Q, T), weights of the frames. With negatives
            ``match`` (B, T, 2, 2): logits "no" and "yes" of the frame that belongs, then of the one that doesn't.
        """
        question = self.question(batch)  # (Q, D), Q = B or BK
        sound = self.audio_hidden(functional.relu(self.audio_projection(audio.pooled)))  # (BT, D)
        grounded, weights = self._ground(visual.pyramid[-1], sound)
        a, g = self._by_clip(sound), self._by_clip(grounded)  # (B, T, D)

        asked = len(question) // len(a)  # questions a clip
        a, g = (x.repeat_interleave(asked, dim=0) for x in (a, g))
        heard, audio_attention = self.audio_time(question, a)
        seen, visual_attention = self.visual_time(question, g)
        fused = self.fusion(torch.cat([heard + a.mean(dim=1), seen + g.mean(dim=1)], dim=1).tanh())
        predictions = {
            "logits": self.classifier((fused * question).tanh()),
            "grounding": self._by_clip(weights),
            "visual_attention": visual_attention,
            "audio_attention": audio_attention,
        }
        if self.match is not None and "negative_features" in batch:
            other, _ = self._ground(batch["negative_features"].pyramid[-1], sound)
            pairs = torch.stack([torch.cat([sound, frame], dim=1) for frame in (grounded, other)], dim=1)
            predictions["match"] = self._by_clip(self.match(pairs))
        return predictions

    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the answers; where there are negatives, also that of matching sound and frames.

        Args:
            predictions: What ``forward`` gave.
            batch: ``answer`` (B,) or (B, K) int64.
        """
        losses = {"loss_answer": functional.cross_entropy(predictions["logits"].float(), batch["answer"].flatten())}
        if "match" in predictions:
            match = predictions["match"].float().flatten(0, -2)  # (2BT, 2): yes, no, yes, no, ...
            truth = torch.tensor([1, 0], device=match.device).repeat(len(match) // 2)
            losses["loss_match"] = self.match_weight * functional.cross_entropy(match, truth)
        return losses

    def _ground(self, frames: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the cells of frames (BT, d_v, H, W) by a sound (BT, D): (BT, D) and the weights (BT, H, W)."""
        height, width = frames.shape[2:]
        cells = self.visual_projection(frames.flatten(2).transpose(1, 2))  # (BT, HW, D)
        directions = functional.normalize(cells, dim=2)
        cosines = torch.einsum("fnd,fd->fn", directions, functional.normalize(sound, dim=1))
        weights = cosines.softmax(dim=1)
        after = torch.einsum("fn,fnd->fd", weights, directions)
        grounded = self.grounding(torch.cat([cells.mean(dim=1), after], dim=1).tanh())
        return grounded, weights.reshape(-1, height, width)

    def _by_clip(self, x: Tensor) -> Tensor:
        """(BT, ...) -> (B, T, ...)."""
        return x.reshape(-1, self.frames, *x.shape[1:])


class TemporalGrounding(nn.Module):
    """Attention of the question to the frames, and a feed-forward layer with residual and norm.

    Args:
        width: D.
        heads: Heads of the attention.
        dropout: Of attention weights and in the feed-forward layer.
    """

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.feedforward = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, question: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Question (B, D), frames (B, T, D) -> (B, D), and the weights of the frames (B, T), mean of the heads."""
        attended, weights = self.attention(question[:, None], frames, frames)
        attended = attended[:, 0]
        return self.norm(attended + self.feedforward(attended)), weights[:, 0]


class Avst(AvstHead):
    """AVST with LAVISH's LSTM for the questions.

    Args:
        visual: Shapes of the visual features.
        audio: Shapes of the audio features.
        frames: T.
        names: ``words`` and ``answers`` by number, which say how many there are.
        words: Number of words, ``<pad>`` included, where no data set says it: 93 for MUSIC-AVQA.
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
        words: int = 93,
        answers: int = 42,
        width: int = 512,
        attention_heads: int = 4,
        dropout: float = 0.1,
        match_weight: float = 0.5,
        tuned_negatives: bool = False,
    ) -> None:
        words = len((names or {}).get("words", ())) or words
        if words < 2:
            raise ConfigError(f"head.words is {words}: must be at least 2, one of them <pad>")
        super().__init__(
            visual=visual,
            audio=audio,
            frames=frames,
            names=names,
            question=LstmEncoder(words=words, width=width),
            answers=answers,
            width=width,
            attention_heads=attention_heads,
            dropout=dropout,
            match_weight=match_weight,
            tuned_negatives=tuned_negatives,
        )


def _pair_classifier(width: int) -> nn.Sequential:
    """Sound and frame (..., 2D) -> whether they belong together (..., 2)."""
    return nn.Sequential(
        nn.Linear(2 * width, width),
        nn.ReLU(),
        nn.Linear(width, width // 2),
        nn.ReLU(),
        nn.Linear(width // 2, width // 4),
        nn.ReLU(),
        nn.Linear(width // 4, 2),
    )


def _check(width: int, answers: int, attention_heads: int, dropout: float, match_weight: float) -> None:
    """Refuse numbers that build no head.

    Raises:
        ConfigError: Names the setting.
    """
    if attention_heads < 1:
        raise ConfigError(f"head.attention_heads is {attention_heads}: must be at least 1")
    if width < 4 or width % 4 or width % attention_heads:
        raise ConfigError(f"head.width is {width}: must be a multiple of 4 and of attention_heads: {attention_heads}")
    if answers < 1:
        raise ConfigError(f"head.answers is {answers}: must be at least 1")
    if not 0 <= dropout < 1:
        raise ConfigError(f"head.dropout is {dropout}: must be at least 0 and below 1")
    if not match_weight >= 0:
        raise ConfigError(f"head.match_weight is {match_weight}: must be at least 0")
