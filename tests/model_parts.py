"""A small two-stream model for tests."""

from functools import partial

import torch
from torch import nn

from copl_core.config import Compute
from copl_core.contracts import Head
from copl_core.model import TwoStream
from copl_fusion.mappers import Bottleneck
from copl_losses.consistency import Consistency
from copl_prompts.bank import PromptBank
from copl_prompts.copl import CoPL
from copl_prompts.interaction import InteractionPrompts
from copl_prompts.modal import FramePrompts, GlobalPrompts
from helpers import randomize, tiny_swin

T = 2


class PooledHead(Head):
    """Two logits from both pooled features."""

    def __init__(self, *, visual, audio, frames, names):
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.classify = nn.Linear(visual.width + audio.width, 2)

    def forward(self, visual, audio, batch):
        return {"logits": self.classify(torch.cat([visual.pooled, audio.pooled], -1)).unflatten(0, (-1, self.frames))}

    def losses(self, predictions, batch):
        return {"loss_task": (predictions["logits"] ** 2).mean()}


PROMPTS = {
    "global": partial(GlobalPrompts, length=3),
    "frame": FramePrompts,
    "interaction": partial(
        InteractionPrompts, length=2, last=2, bank=partial(PromptBank, size=4), mapper=partial(Bottleneck, width=3)
    ),
}


def build(tuner=None, *, audio=None, depths=(2, 2), **compute) -> TwoStream:
    """A tiny shared Swin-V2, or the given audio encoder beside it; every trained tensor random."""
    tuner = tuner or partial(CoPL, prompts=PROMPTS, losses={"consistency": partial(Consistency, weight=0.5)})
    built = TwoStream(
        visual=tiny_swin(depths=depths), audio=audio, tuner=tuner, head=PooledHead, frames=T, compute=Compute(**compute)
    )
    randomize(built.tuner, std=0.3)
    return built


def batch(clips: int = 2) -> dict:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randn(clips, T, 3, 32, 32, generator=generator) for name in ("visual", "audio")}
