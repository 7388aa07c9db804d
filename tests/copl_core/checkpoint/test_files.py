"""prompts.safetensors and head.safetensors: contents, byte equality, all-or-nothing loading."""

import dataclasses
import json
from functools import partial

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from copl_core.api import WeightsError
from copl_core.checkpoint import HEAD_FILE, PROMPTS_FILE, Header, fingerprint, load_trained, read_header, save_trained
from copl_core.contracts import Head
from copl_core.model import TwoStream
from copl_prompts.copl import CoPL
from copl_prompts.modal import FramePrompts, GlobalPrompts
from helpers import randomize, tiny_swin

HEADER = Header(
    encoders={},
    model={"tuner": {"type": "copl"}},
    components={},
    scores={"val/x": 0.5},
    seed=3,
    protocol="standard",
    copl_version="0.1.0",
)


class NormHead(Head):
    """Has a parameter and a running statistic: both belong into the file."""

    def __init__(self, *, visual, audio, frames):
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.norm = torch.nn.BatchNorm1d(visual.width)

    def forward(self, visual, audio, batch):
        return {"out": self.norm(visual.pooled)}

    def losses(self, predictions, batch):
        return {"loss": predictions["out"].sum()}


def build(seed: int = 0, length: int = 3) -> TwoStream:
    tuner = partial(CoPL, prompts={"global": partial(GlobalPrompts, length=length), "frame": FramePrompts})
    model = TwoStream(visual=tiny_swin(), audio=None, tuner=tuner, head=NormHead, frames=2)
    randomize(model.tuner, seed=seed)
    randomize(model.head, seed=seed)
    model.head.norm.running_mean.fill_(float(seed))
    return model


def encoders(model: TwoStream) -> dict:
    return {"visual": {"identity": model.visual.identity(), "fingerprint": fingerprint(model.visual)}}


def save(folder, model: TwoStream):
    return save_trained(folder, model, dataclasses.replace(HEADER, encoders=encoders(model)))


def test_round_trip_restores_every_trained_tensor_and_statistic(tmp_path):
    model, other = build(1), build(2)
    save(tmp_path, model)
    header = load_trained(tmp_path, other, encoders(other))
    for module, name in ((other.tuner, "tuner"), (other.head, "head")):
        for key, tensor in getattr(model, name).state_dict().items():
            assert torch.equal(module.state_dict()[key], tensor), key
    assert header.seed == 3
    assert read_header(tmp_path / PROMPTS_FILE) == header


def test_prompts_file_holds_the_tuners_tensors_only(tmp_path):
    model = build()
    prompts, head = save(tmp_path, model)
    assert set(load_file(prompts)) == {name for name, _ in model.tuner.named_parameters()}
    assert set(load_file(head)) == set(model.head.state_dict())
    with safe_open(prompts, "pt") as handle:
        assert list(handle.metadata()) == ["copl"]
        json.loads(handle.metadata()["copl"])


def test_same_run_same_bytes(tmp_path):
    contents = []
    for attempt in range(5):
        save(tmp_path / str(attempt), build(7))
        contents.append([(tmp_path / str(attempt) / name).read_bytes() for name in (PROMPTS_FILE, HEAD_FILE)])
    assert all(content == contents[0] for content in contents)


def refuse(tmp_path, model: TwoStream, *texts: str) -> None:
    """Loading fails, naming all of ``texts``, and leaves the model as it was."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_trained(tmp_path, model, encoders(model))
    for text in texts:
        assert text in str(error.value)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_other_encoder_weights_are_refused_by_name(tmp_path):
    save(tmp_path, build())
    other = build()
    randomize(other.encoders, seed=9)
    refuse(tmp_path, other, "encoders.visual", "architecture=tiny", "different weights")


def test_all_differences_are_listed(tmp_path):
    save(tmp_path, build())
    tensors = load_file(tmp_path / PROMPTS_FILE)
    metadata = safe_open(tmp_path / PROMPTS_FILE, "pt").metadata()
    del tensors["prompts.frame.visual.0"]
    tensors["stray"] = torch.zeros(1)
    save_file(tensors, tmp_path / PROMPTS_FILE, metadata)
    refuse(
        tmp_path,
        build(length=4),
        "prompts.frame.visual.0 is missing",
        "stray has no place",
        "prompts.global.audio.3 is (3, 32)",
        "damaged or edited",
    )


def test_prompts_and_head_of_different_runs_are_refused(tmp_path):
    save(tmp_path / "a", build(1))
    save(tmp_path / "b", build(2))
    (tmp_path / "a" / HEAD_FILE).write_bytes((tmp_path / "b" / HEAD_FILE).read_bytes())
    refuse(tmp_path / "a", build(), "trained with other prompts")


def test_missing_damaged_and_foreign_files(tmp_path):
    refuse(tmp_path, build(), f"no {PROMPTS_FILE}")
    save(tmp_path, build())
    (tmp_path / HEAD_FILE).unlink()
    refuse(tmp_path, build(), f"no {HEAD_FILE}")
    save(tmp_path, build())
    content = (tmp_path / PROMPTS_FILE).read_bytes()
    (tmp_path / PROMPTS_FILE).write_bytes(content[: len(content) // 2])
    refuse(tmp_path, build(), "cannot read", PROMPTS_FILE)
    save_file({"x": torch.zeros(1)}, tmp_path / PROMPTS_FILE)
    refuse(tmp_path, build(), "not a copl.prompts file")


def test_newer_format_says_upgrade(tmp_path):
    save(tmp_path, build())
    tensors = load_file(tmp_path / PROMPTS_FILE)
    document = json.loads(safe_open(tmp_path / PROMPTS_FILE, "pt").metadata()["copl"])
    document["format_version"] = 99
    save_file(tensors, tmp_path / PROMPTS_FILE, {"copl": json.dumps(document)})
    refuse(tmp_path, build(), "upgrade copl")


def test_fingerprint_tells_structure_from_weights():
    a, b = tiny_swin(seed=0), tiny_swin(seed=1)
    assert fingerprint(a)["structure"] == fingerprint(b)["structure"]
    assert fingerprint(a)["weights"] != fingerprint(b)["weights"]
    assert fingerprint(a) == fingerprint(tiny_swin(seed=0))
    assert fingerprint(a)["structure"] != fingerprint(tiny_swin(dim=32))["structure"]
