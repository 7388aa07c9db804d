"""Two frozen encoders in lockstep."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from copl_core.config import Compute
from copl_core.contracts import (
    Backbone,
    Batch,
    Factory,
    Features,
    Head,
    Layout,
    Names,
    Pair,
    PairLayout,
    Predictions,
    Tuner,
)
from copl_core.contracts.recompute import recompute_hidden_layers, recompute_step
from copl_core.model.pairing import pair_blocks

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
        names: What the numbers in samples stand for.
        compute: Precision of the matrix products in encoders, tuner and head (autocast; frozen matrices are stored in
            it, losses are computed in float32), what is computed again in the backward pass, and compilation.
    """

    def __init__(
        self,
        *,
        visual: Backbone,
        audio: Backbone | None,
        tuner: Factory[Tuner],
        head: Factory[Head],
        frames: int,
        names: Names | None = None,
        compute: Compute | None = None,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.names: Names = dict(names or {})
        self.compute = compute or Compute()
        self.encoders = nn.ModuleDict({"visual": visual} if audio is None else {"visual": visual, "audio": audio})
        self.encoders.requires_grad_(False)

        self._steps = pair_blocks(self.visual.stages, self.audio.stages)
        visual_tokens, audio_tokens = self.visual.tokens("visual"), self.audio.tokens("audio")
        visual_layout, audio_layout = self.visual.layout("visual"), self.audio.layout("audio")
        layout = Layout(
            frames=frames,
            pairs=tuple(
                PairLayout(
                    visual_width=None if v is None else self.visual.widths[v],
                    audio_width=None if a is None else self.audio.widths[a],
                    visual_tokens=None if v is None else visual_tokens[v],
                    audio_tokens=None if a is None else audio_tokens[a],
                )
                for v, a in self._steps
            ),
            visual_width=visual_layout.width,
            audio_width=audio_layout.width,
        )
        self.tuner = tuner(layout=layout)
        self.encoders.requires_grad_(self.tuner.unfreezes)
        if self.compute.precision != "fp32" and not self.tuner.unfreezes:
            for encoder in self.encoders.children():
                cast(Backbone, encoder).lower_precision(DTYPES[self.compute.precision])
        if self.compute.compile:
            for encoder in self.encoders.children():
                _compile_blocks(cast(Backbone, encoder))
        self.head = head(visual=visual_layout, audio=audio_layout, frames=frames, names=self.names)
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
        state: Any = None
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
                out_v, out_a = self._step(pair, z_v, z_a)
            state = self.tuner.read(pair, out_v, out_a, state)
            with torch.set_grad_enabled(wants_grad and index >= start):
                z_v = _end_of_block(self.visual, v, visual_ends, out_v, visual_stages)
                z_a = _end_of_block(self.audio, a, audio_ends, out_a, audio_stages)
        with torch.set_grad_enabled(wants_grad and start < len(self._steps)):
            features_v = self.visual.features(visual_stages, "visual")
            features_a = self.audio.features(audio_stages, "audio")
        return self.tuner.adapt(features_v, features_a, state)

    @torch.no_grad()
    def encode_plainly(self, visual: Tensor) -> Features:
        """Run the visual encoder alone, without tuner and without autograd: (BT, 3, H, W) -> features."""
        tokens, ends = self.visual.embed(visual), self.visual.stage_ends()
        stages: list[Tensor] = []
        for index, block in enumerate(self.visual.blocks):
            tokens, _ = Tuner.walk(Pair(index=index, visual=block, audio=None), tokens, tokens)
            tokens = _end_of_block(self.visual, index, ends, tokens, stages)
        return self.visual.features(stages, "visual")

    @torch.no_grad()
    def _encode_negatives(self, frames: Tensor, sound: Tensor) -> Features:
        """Frames of other clips (BT, 3, H, W), as the head wants them read."""
        return self.encode(frames, sound)[0] if self.head.tuned_negatives else self.encode_plainly(frames)

    def _step(self, pair: Pair, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """The tuner's step, kept whole or by its inputs only."""
        if self.compute.checkpointing != "block":
            return self.tuner.step(pair, visual, audio)
        out: tuple[Tensor, Tensor] = recompute_step(partial(self.tuner.step, pair), visual, audio, module=self.tuner)
        return out

    def forward(self, batch: Batch) -> Output:
        """Predict for a batch with ``visual`` (B, T, 3, H, W) and ``audio`` (B, T, ...)."""
        lower = self.compute.precision != "fp32"
        dtype = DTYPES[self.compute.precision] if lower else None
        with (
            torch.autocast(batch["visual"].device.type, dtype=dtype, enabled=lower),
            recompute_hidden_layers(self.compute.checkpointing == "mlp"),
        ):
            sound = batch["audio"].flatten(0, 1)
            visual, audio = self.encode(batch["visual"].flatten(0, 1), sound)
            if "negative" in batch:
                batch = {**batch, "negative_features": self._encode_negatives(batch["negative"].flatten(0, 1), sound)}
            predictions = self.head(visual, audio, batch)
        return Output(
            predictions={name: _as_float(value) for name, value in predictions.items()}, visual=visual, audio=audio
        )

    def losses(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """The task's losses and the tuner's, by name; training minimises their sum (Eq. 11)."""
        return {
            **self.head.losses(output.predictions, batch),
            **self.tuner.auxiliary_losses(output.visual, output.audio),
        }

    def prompts_state(self) -> dict[str, Tensor]:
        """The tuner's tensors by name, with the encoders' (``encoders.*``) if the tuner trains them."""
        state: dict[str, Tensor] = dict(self.tuner.state_dict())
        if self.tuner.unfreezes:
            state |= self.encoders.state_dict(prefix="encoders.")
        return state

    def load_prompts_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what ``prompts_state`` gave."""
        inside = {name: tensor for name, tensor in state.items() if name.startswith("encoders.")}
        if self.tuner.unfreezes:
            self.encoders.load_state_dict({name.removeprefix("encoders."): t for name, t in inside.items()})
            state = {name: tensor for name, tensor in state.items() if name not in inside}
        self.tuner.load_state_dict(state)

    def additional_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Trained parameters attached to the encoders' blocks: the tuner's, or the encoders themselves."""
        if self.tuner.unfreezes:
            yield from self.encoders.named_parameters(prefix="encoders")
        yield from self.tuner.additional_parameters()

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that train, with names ``tuner.*`` and ``head.*``."""
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                yield name, parameter


def _compile_blocks(encoder: Backbone) -> None:
    """Compile both branches of every block; blocks of equal shape share the compiled code."""
    for block in encoder.blocks:
        for branch in ("attention", "feedforward"):
            setattr(block, branch, torch.compile(getattr(block, branch), dynamic=False))


def _as_float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def _end_of_block(
    encoder: Backbone, index: int | None, ends: frozenset[int], tokens: Tensor, stages: list[Tensor]
) -> Tensor:
    """Note the tokens at a stage's end and prepare them for the next block."""
    if index is None:
        return tokens
    if index in ends:
        stages.append(tokens)
    return tokens if index + 1 == encoder.depth else encoder.advance(index, tokens)
