"""One tuner on one encoder pair, ready to be timed."""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from copl_core.config import SHARED, Compute
from copl_core.contracts import (
    AudioSpec,
    Backbone,
    Batch,
    Factory,
    FeatureLayout,
    Features,
    Head,
    Names,
    Predictions,
    WaveformSpec,
)
from copl_core.model import TwoStream, input_specs
from copl_core.plugins import get_table
from copl_core.registry import Registry


@dataclass(frozen=True)
class Setup:
    """What to measure; plain values, so that it can be sent to another process.

    Attributes:
        label: How the row is called.
        visual: Block of the visual encoder.
        audio: Block of the audio encoder, or ``shared``.
        tuner: Block of the tuner.
        compute: Precision, checkpointing, compilation.
        frames: T.
        batch: B.
        device: ``cpu`` or ``cuda``.
        threads: torch's threads; 0 leaves its default.
    """

    label: str
    visual: Mapping[str, Any]
    audio: Mapping[str, Any] | str
    tuner: Mapping[str, Any]
    compute: Compute
    frames: int
    batch: int
    device: str = "cpu"
    threads: int = 0


class Probe:
    """Builds the model of a setup with random weights and takes single measurements."""

    def __init__(self, setup: Setup) -> None:
        if setup.threads:
            torch.set_num_threads(setup.threads)
        torch.manual_seed(0)
        self.device = torch.device(setup.device)
        self.model = build_model(setup).to(self.device).train()
        generator = torch.Generator().manual_seed(0)
        image, sound = input_specs(self.model.visual, self.model.audio)
        lead = (setup.batch, setup.frames)
        self.batch = {
            "visual": torch.randn(*lead, 3, image.height, image.width, generator=generator).to(self.device),
            "audio": torch.randn(*lead, *_shape(sound), generator=generator).to(self.device),
        }

    @property
    def trained(self) -> int:
        """Parameters that train beside the head."""
        return sum(p.numel() for _, p in self.model.additional_parameters() if p.requires_grad)

    def forward(self) -> float:
        """Seconds of a forward pass without autograd."""
        start = self._now()
        with torch.no_grad():
            self.model(self.batch)
        return self._now() - start

    def step(self) -> float:
        """Seconds of a forward and a backward pass; the forward pass alone if nothing trains."""
        self.model.zero_grad(set_to_none=True)
        start = self._now()
        loss = self._loss()
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        return self._now() - start

    def saved_bytes(self) -> int:
        """Bytes that one forward pass keeps for its backward pass.

        Distinct storages, so that views of one tensor count once. What two passes keep alike is not made by a pass
        and does not count: parameters, and tables computed once.
        """
        first, second = self._saved(), self._saved()
        standing = {storage.data_ptr() for storage in first} & {storage.data_ptr() for storage in second}
        unique = {storage.data_ptr(): storage.nbytes() for storage in second}
        return sum(size for pointer, size in unique.items() if pointer not in standing)

    def peak_bytes(self) -> int:
        """Most memory taken so far: on CUDA by tensors, else by the whole process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        # Kilobytes on Linux, bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def _loss(self) -> Tensor:
        output = self.model(self.batch)
        return torch.stack(list(self.model.losses(output, self.batch).values())).sum()

    def _saved(self) -> list[torch.UntypedStorage]:
        # Storages, which stay alive in the list: a freed one's address may serve a later one.
        storages: list[torch.UntypedStorage] = []

        def pack(tensor: Tensor) -> Tensor:
            storages.append(tensor.untyped_storage())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            self._loss()
        return storages

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


class RandomReadout(Head):
    """Reads the features of both streams along fixed random directions, so that every one of them gets a gradient."""

    def __init__(self, *, visual: FeatureLayout, audio: FeatureLayout, frames: int, names: Names) -> None:
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.visual_direction: Tensor
        self.audio_direction: Tensor
        self.register_buffer("visual_direction", torch.randn(visual.width))
        self.register_buffer("audio_direction", torch.randn(audio.width))

    def forward(self, visual: Features, audio: Features, batch: Batch) -> Predictions:
        """One number a frame and stream."""
        return {
            "visual": visual.tokens.mean(dim=1) @ self.visual_direction,
            "audio": audio.tokens.mean(dim=1) @ self.audio_direction,
        }

    def losses(self, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
        """Their means."""
        return {name: value.mean() for name, value in predictions.items()}


def build_model(setup: Setup) -> TwoStream:
    """Build encoders with random weights, and the tuner.

    Raises:
        ConfigError: The encoders can't take the roles they were given.
    """
    registry = Registry(get_table())
    visual: Backbone = registry.build("backbone", setup.visual, path="encoders.visual")
    audio: Backbone | None = None
    if setup.audio != SHARED:
        audio = registry.build("backbone", setup.audio, path="encoders.audio")
    input_specs(visual, audio)
    for encoder in (visual, audio):
        if encoder is not None:
            _open_norms(encoder)
    return TwoStream(
        visual=visual,
        audio=audio,
        tuner=registry.factory("tuner", setup.tuner, path="tuner"),
        head=cast(Factory[Head], RandomReadout),
        frames=setup.frames,
        compute=setup.compute,
    )


def _open_norms(encoder: nn.Module) -> None:
    """Some encoders start with norms at zero, which would silence every branch that trained weights open."""
    for module in encoder.modules():
        if isinstance(module, nn.LayerNorm) and module.weight is not None:
            nn.init.ones_(module.weight)


def _shape(sound: AudioSpec) -> tuple[int, ...]:
    if isinstance(sound, WaveformSpec):
        return (sound.samples,)
    return sound.channels, sound.frames, sound.mel_bins
