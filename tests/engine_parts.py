"""A task small enough to train in half a second, with everything a resumed run could get wrong.

The data set draws augmentations, the head has dropout and batch norm, the score depends on every clip.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from torch import nn
from torch.nn import functional as F

from copl_core.api import DataError
from copl_core.checkpoint import fingerprint
from copl_core.config import Compute, Experiment, Schedule
from copl_core.config.loggers import Loggers
from copl_core.contracts import Dataset, Head, Metric, Renderer, Task
from copl_core.engine.build import Session, seed_everything
from copl_core.model import TwoStream
from copl_prompts.copl import CoPL
from copl_prompts.modal import FramePrompts, GlobalPrompts
from helpers import tiny_swin

# The package exports the function under the module's name.
engine = import_module("copl_core.engine.train")

T = 2
SIZES = {"train": 11, "val": 5, "test": 5}
#: Two epochs: with batches of 2, six steps each, of which the last has one clip.
SCHEDULE = {"epochs": 2, "batch_size": 2, "prompt_lr": 1e-2, "head_lr": 1e-2, "workers": 0, "lr_schedule": "cosine"}


class ToyClips(Dataset):
    """Noise whose mean tells the label, with an augmentation drawn anew each epoch.

    Args:
        split: Its name.
        noise: Scale of the augmentation.
    """

    def __init__(self, *, split: str, noise: float = 0.3) -> None:
        self.split = split
        self.noise = noise

    def __len__(self) -> int:
        return SIZES[self.split]

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(100 * list(SIZES).index(self.split) + index)
        label = index % 2
        clip = torch.randn(2, T, 3, 32, 32, generator=generator) + label
        visual, audio = clip + self.noise * torch.randn(2, T, 3, 1, 1)
        return {"name": f"{self.split}-{index}", "visual": visual, "audio": audio, "label": torch.tensor(label)}

    def pictures(self, index: int) -> list[Image.Image]:
        return [Image.new("RGB", (4, 4))] * T


class UnreadableClips(ToyClips):
    """Leaves out training clips that can't be read.

    Args:
        clips: Their indices.
    """

    on_error = "skip"

    def __init__(self, *, clips: Sequence[int], **settings: Any) -> None:
        super().__init__(**settings)
        self.clips = clips

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self.split == "train" and index in self.clips:
            raise DataError(f"train-{index}.wav is cut short")
        return super().__getitem__(index)


class ToyHead(Head):
    """A classifier with batch norm and dropout."""

    def __init__(self, *, dropout: float = 0.3, norm: bool = True, **context: Any) -> None:
        super().__init__(**context)
        width = self.visual.width + self.audio.width
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, 2)

    def forward(self, visual, audio, batch):
        tokens = self.dropout(self.norm(torch.cat([visual.pooled, audio.pooled], -1)))
        return {"logits": self.classify(tokens).unflatten(0, (-1, self.frames)).mean(1)}

    def losses(self, predictions, batch):
        return {"loss_task": F.cross_entropy(predictions["logits"], batch["label"])}


class Idle(ToyHead):
    """Has a layer that nothing uses."""

    def __init__(self, **context: Any) -> None:
        super().__init__(**context)
        self.unused = nn.Linear(2, 2)


class Detached(ToyHead):
    """Has a loss without a gradient."""

    def losses(self, predictions, batch):
        return {"loss_task": predictions["logits"].detach().sum()}


class NotFinite(ToyHead):
    """Has a loss that is no number."""

    def losses(self, predictions, batch):
        return {"loss_task": super().losses(predictions, batch)["loss_task"] * float("nan")}


class ToyMetric(Metric):
    """Mean probability of the right label."""

    def measure(self, predictions, batch):
        probabilities = predictions["logits"].detach().cpu().softmax(-1)
        return probabilities.gather(1, batch["label"].cpu()[:, None])[:, 0].tolist()

    def summarize(self, results):
        return {"right": sum(results) / len(results), "clips": float(len(results))}


class ToyRenderer(Renderer):
    """A white square."""

    def render(self, pictures, sample, prediction):
        return Image.new("RGB", (4, 4), "white")


class ToyTask(Task):
    """The four together."""

    frames, select_by = T, "right"


def toy_experiment(**schedule: Any) -> Experiment:
    """An experiment with another schedule than ``SCHEDULE`` in what is given."""
    settings = {**SCHEDULE, **schedule}
    source = {"encoders": {}, "tuner": {"type": "toy"}, "task": {"type": "toy"}, "schedule": settings, "seed": 0}
    return Experiment(
        visual={},
        audio=None,
        tuner={"type": "toy"},
        task={"type": "toy"},
        schedule=Schedule(**settings),
        compute=Compute(),
        seed=0,
        protocol="standard",
        loggers=Loggers(),
        source=source,
    )


def toy_session(
    experiment: Experiment, *, dataset: Any = ToyClips, head: Any = ToyHead, tuner: Any = None, compute: Any = None
) -> Session:
    """What ``build_session`` would make of it."""
    encoder = tiny_swin(depths=(1, 1))
    task = ToyTask(dataset=dataset, head=head, metric=lambda names: ToyMetric(), renderer=lambda names: ToyRenderer())
    prompts = {"global": partial(GlobalPrompts, length=2), "frame": FramePrompts}
    seed_everything(experiment.seed)
    model = TwoStream(
        visual=encoder,
        audio=None,
        tuner=tuner or partial(CoPL, prompts=prompts),
        head=head,
        frames=T,
        compute=compute or experiment.compute,
    )
    encoders = {"visual": {"identity": encoder.identity(), "fingerprint": fingerprint(encoder)}}
    return Session(experiment, task, {split: dataset(split=split) for split in SIZES}, model, encoders, components={})


class NoRegistry:
    """Stands where the registry is: nothing is resolved."""

    table: Any = None

    def factories(self, blocks: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
        """Blocks as they are."""
        return {path: SimpleNamespace(complete=partial(dict, block)) for path, (_, block) in blocks.items()}


def train_toy(
    work_dir: Path, *, session: Any = None, parts: Mapping[str, Any] | None = None, console: Any = None, **options: Any
) -> Any:
    """Train the toy; ``parts`` go to ``toy_session``, ``resume``, ``extend`` and ``device`` to ``train``."""
    settings = {name: options.pop(name) for name in ("resume", "extend") if name in options}
    device = torch.device(options.pop("device", "cpu"))
    experiment = toy_experiment(**options)
    original, recorded = engine.build_session, engine.record_start
    engine.build_session = lambda *_: toy_session(experiment, **(parts or {}))
    engine.record_start = lambda *_: None
    try:
        return engine.train(
            experiment,
            NoRegistry(),
            work_dir=work_dir,
            device=device,
            console=console or Console(quiet=True),
            **settings,
        )
    finally:
        engine.build_session, engine.record_start = original, recorded
