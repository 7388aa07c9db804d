"""Two frozen encoders in lockstep."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from copl_core.contracts import Backbone, Batch, Factory, Features, Head, Layout, Pair, PairLayout, Predictions, Tuner
from copl_core.model.pairing import pair_blocks


@dataclass(frozen=True)
class Output:
    """What the model yields for a batch: the head's predictions and both encoders' features."""

    predictions: Predictions
    visual: Features
    audio: Features


class TwoStream(nn.Module):
    """Embeds both modalities, walks the paired blocks, hands the features to the head.

    The encoders are frozen: no gradients into their parameters, and always in evaluation mode (no drop-path, no
    batch-norm update), whatever mode the model is in.

    Args:
        visual: The visual encoder.
        audio: The audio encoder, or None to use the visual one for both (a shared encoder).
        tuner: Makes the tuner from the layout of the encoders.
        head: Makes the task's head from the layouts of the features.
        frames: T.
    """

    def __init__(
        self,
        *,
        visual: Backbone,
        audio: Backbone | None,
        tuner: Factory[Tuner],
        head: Factory[Head],
        frames: int,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.encoders = nn.ModuleDict({"visual": visual} if audio is None else {"visual": visual, "audio": audio})
        self.encoders.requires_grad_(False)

        self._steps = pair_blocks(self.visual.stages, self.audio.stages)
        layout = Layout(
            frames=frames,
            pairs=tuple(
                PairLayout(
                    visual_width=None if v is None else self.visual.widths[v],
                    audio_width=None if a is None else self.audio.widths[a],
                )
                for v, a in self._steps
            ),
            visual_width=self.visual.layout.width,
            audio_width=self.audio.layout.width,
        )
        self.tuner = tuner(layout=layout)
        self.head = head(visual=self.visual.layout, audio=self.audio.layout, frames=frames)
        self.train(self.training)

    @property
    def visual(self) -> Backbone:
        """The visual encoder."""
        return cast(Backbone, self.encoders["visual"])

    @property
    def audio(self) -> Backbone:
        """The audio encoder; the visual one if it is shared."""
        return cast(Backbone, self.encoders["visual" if self.shared else "audio"])

    @property
    def shared(self) -> bool:
        """True if one encoder serves both modalities."""
        return "audio" not in self.encoders

    def train(self, mode: bool = True) -> "TwoStream":
        """Set the mode of tuner and head; the frozen encoders stay in evaluation mode."""
        super().train(mode)
        self.encoders.eval()
        return self

    def encode(self, visual: Tensor, audio: Tensor) -> tuple[Features, Features]:
        """Run both encoders with the tuner between their layers.

        Blocks before the tuner's first one run without autograd: nothing there is trained, so no graph is kept.

        Args:
            visual: (BT, 3, H, W).
            audio: (BT, ...) as the audio encoder's input spec says.
        """
        start, wants_grad = self.tuner.first_block, torch.is_grad_enabled()
        visual_ends, audio_ends = self.visual.stage_ends(), self.audio.stage_ends()
        visual_stages: list[Tensor] = []
        audio_stages: list[Tensor] = []
        with torch.set_grad_enabled(wants_grad and start == 0):
            z_v, z_a = self.visual.embed(visual), self.audio.embed(audio)
        for index, (v, a) in enumerate(self._steps):
            with torch.set_grad_enabled(wants_grad and index >= start):
                pair = Pair(
                    index=index,
                    visual=None if v is None else self.visual.blocks[v],
                    audio=None if a is None else self.audio.blocks[a],
                    shared=self.shared and v == a,
                )
                z_v, z_a = self.tuner.step(pair, z_v, z_a)
                z_v = _end_of_block(self.visual, v, visual_ends, z_v, visual_stages)
                z_a = _end_of_block(self.audio, a, audio_ends, z_a, audio_stages)
        with torch.set_grad_enabled(wants_grad and start < len(self._steps)):
            return self.visual.features(visual_stages), self.audio.features(audio_stages)

    def forward(self, batch: Batch) -> Output:
        """Predict for a batch with ``visual`` (B, T, 3, H, W) and ``audio`` (B, T, ...)."""
        visual, audio = self.encode(batch["visual"].flatten(0, 1), batch["audio"].flatten(0, 1))
        return Output(predictions=self.head(visual, audio, batch), visual=visual, audio=audio)

    def losses(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """The task's losses and the tuner's, by name; training minimises their sum (Eq. 11)."""
        return {
            **self.head.losses(output.predictions, batch),
            **self.tuner.auxiliary_losses(output.visual, output.audio),
        }

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that train, with names ``tuner.*`` and ``head.*``."""
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                yield name, parameter


def _end_of_block(
    encoder: Backbone, index: int | None, ends: frozenset[int], tokens: Tensor, stages: list[Tensor]
) -> Tensor:
    """Note the tokens at a stage's end and prepare them for the next block."""
    if index is None:
        return tokens
    if index in ends:
        stages.append(tokens)
    return tokens if index + 1 == encoder.depth else encoder.advance(index, tokens)
