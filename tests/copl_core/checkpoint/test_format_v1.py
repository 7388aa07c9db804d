"""Files of format version 1 stay readable.

``tests/data/format-v1`` was written once and is never written again: whatever copl becomes, it loads these files into
the model they were made for, or people's trained prompts are lost. The model is built from parts of this file and the
prompts of ``copl_prompts``, so that nothing but the format, the names of tensors and the fingerprint can break it.
"""

import hashlib
from functools import partial

import pytest
import torch
from torch import nn

from copl_core.checkpoint import Header, fingerprint, load_trained, read_header, read_trained_file
from copl_core.contracts import Backbone, Block, FeatureLayout, Head, ImageSpec
from copl_core.model import TwoStream
from copl_fusion.mappers import Bottleneck
from copl_losses.consistency import Consistency
from copl_prompts.bank import PromptBank
from copl_prompts.copl import CoPL
from copl_prompts.interaction import InteractionPrompts
from copl_prompts.modal import FramePrompts, GlobalPrompts

WIDTH = 4
MODEL = {
    "encoders": {"visual": {"type": "line", "weights": "file:line.safetensors"}, "audio": "shared"},
    "tuner": {"type": "copl", "prompts": {"global": {"type": "global_prompts", "length": 2}}},
    "task": {"type": "toy", "head": {"type": "toy"}},
}
HEADER = Header(
    encoders={},
    model=MODEL,
    components={"tuner": {"kind": "tuner", "name": "copl", "plugin": "copl_prompts"}},
    scores={"val/accuracy": 0.75},
    seed=3,
    protocol="standard",
    copl_version="0.1.0",
    names={"classes": ("dog", "chat", "犬")},
)


class LineBlock(Block):
    width = WIDTH

    def attention(self, tokens, prompts=None):
        return tokens

    def feedforward(self, tokens):
        return tokens


class Line(Backbone):
    """An encoder that does nothing, of one matrix and one running statistic."""

    def __init__(self):
        super().__init__()
        self.input_spec = ImageSpec(height=2, width=2)
        self.blocks, self.stages = [LineBlock(), LineBlock()], (2,)
        self.embedding = nn.Linear(3, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH)

    def tokens(self, modality):
        return (4, 4)

    def layout(self, modality):
        return FeatureLayout(width=WIDTH, pyramid=((WIDTH, 2, 2),))

    def identity(self):
        return {"architecture": "line", "weights": "file:line.safetensors"}

    def load_pretrained(self):
        pass

    def embed(self, x):
        return self.embedding(x.flatten(2).transpose(1, 2))

    def features(self, stage_tokens, modality):
        raise NotImplementedError


class ToyHead(Head):
    def __init__(self, *, visual, audio, frames, names):
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.classify = nn.Linear(WIDTH, 3)

    def forward(self, visual, audio, batch):
        raise NotImplementedError

    def losses(self, predictions, batch):
        raise NotImplementedError


def fill(state: dict[str, torch.Tensor], start: int) -> None:
    """Element k of the n-th tensor by name is (start + n + k) / 8, which every float type holds exactly."""
    for n, name in enumerate(sorted(state)):
        tensor = state[name]
        values = (torch.arange(tensor.numel()) + start + n).reshape(tensor.shape)
        tensor.copy_(values if tensor.dtype == torch.int64 else values / 8)


def build() -> TwoStream:
    prompts = {
        "global": partial(GlobalPrompts, length=2),
        "frame": FramePrompts,
        "interaction": partial(
            InteractionPrompts, length=2, last=1, bank=partial(PromptBank, size=3), mapper=partial(Bottleneck, width=2)
        ),
    }
    tuner = partial(CoPL, prompts=prompts, losses={"consistency": partial(Consistency, weight=0.5)})
    names = {"classes": ("dog", "chat", "犬")}
    model = TwoStream(visual=Line(), audio=None, tuner=tuner, head=ToyHead, frames=2, names=names)
    fill(model.visual.state_dict(), start=100)
    return model


def encoders(model: TwoStream) -> dict:
    return {"visual": {"identity": model.visual.identity(), "fingerprint": fingerprint(model.visual)}}


@pytest.fixture
def folder(repository):
    return repository / "tests" / "data" / "format-v1"


def test_it_loads_with_the_values_it_was_written_with(folder):
    model, expected = build(), build()
    header = load_trained(folder, model, encoders(model), MODEL)
    fill(expected.tuner.state_dict(), start=1)
    fill(expected.head.state_dict(), start=2)
    for name, tensor in (expected.tuner.state_dict() | expected.head.state_dict()).items():
        assert torch.equal((model.tuner.state_dict() | model.head.state_dict())[name], tensor), name
    assert header.scores == {"val/accuracy": 0.75}


def test_its_header_is_read(folder):
    header = read_header(folder)
    assert header.names == HEADER.names
    assert header.model == MODEL
    assert header.components == HEADER.components
    assert (header.seed, header.protocol, header.copl_version) == (3, "standard", "0.1.0")


#: SHA-256 of the files themselves.
WRITTEN = {
    "prompts": "61b6a084a47e861600b98022b6cd8832681f88ac8f71ff326f2cbfabd5fc92e6",
    "head": "4d91c1c4c4ffe51ade6f7eff190f07ea5d9873e46af2dad730b19b4df07e42bb",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_nobody_has_written_it_again(folder, name):
    assert hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest() == WRITTEN[name]


@pytest.mark.parametrize("name", WRITTEN)
def test_its_digest_is_that_of_its_tensors(folder, name):
    file = read_trained_file(folder / f"{name}.safetensors")
    assert file.format_version == 1
    assert file.is_intact()
