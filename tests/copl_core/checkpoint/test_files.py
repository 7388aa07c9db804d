"""prompts.safetensors and head.safetensors: contents, byte equality, all-or-nothing loading."""

import dataclasses
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from copl_core.api import WeightsError
from copl_core.checkpoint import (
    HEAD_FILE,
    PROMPTS_FILE,
    Header,
    files,
    fingerprint,
    finish_pair,
    load_trained,
    read_header,
    save_trained,
)
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

    def __init__(self, *, visual, audio, frames, names):
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


def test_of_very_many_tensors_every_one_is_named(tmp_path):
    save(tmp_path, build())
    metadata = safe_open(tmp_path / PROMPTS_FILE, "pt").metadata()
    strays = {f"stray{n:02}": torch.zeros(1) for n in range(40)}
    save_file(strays, tmp_path / PROMPTS_FILE, metadata)
    missing = [f"{name} is missing" for name in build().prompts_state()]
    refuse(tmp_path, build(), *missing, *(f"{name} has no place" for name in strays), "damaged")


def test_nothing_is_copied_where_the_second_file_cannot_be_read(tmp_path, monkeypatch):
    """The checks pass, then the disk fails."""
    load, calls = files.load_file, []

    def fail_second(path):
        calls.append(path)
        if len(calls) == 2:
            raise OSError("Input/output error")
        return load(path)

    save(tmp_path, build(1))
    monkeypatch.setattr(files, "load_file", fail_second)
    refuse(tmp_path, build(2), "Input/output error")


@pytest.fixture
def killed_between(monkeypatch):
    """Have an export end as a kill ends it, after the prompts were replaced."""

    def save_and_be_killed(folder, model):
        replace = Path.replace

        def once(path, target):
            if target.name == HEAD_FILE:
                raise KeyboardInterrupt
            return replace(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", once)
            with pytest.raises(KeyboardInterrupt):
                save(folder, model)

    return save_and_be_killed


@pytest.mark.parametrize("earlier", [False, True])
def test_an_export_killed_between_its_files_is_finished(tmp_path, killed_between, earlier):
    if earlier:
        save(tmp_path, build(1))
    (tmp_path / f".{HEAD_FILE}.1.tmp").write_bytes(b"half")
    new = build(2)
    killed_between(tmp_path, new)
    refuse(tmp_path, build(3), "trained with other prompts" if earlier else f"no {HEAD_FILE}")
    finish_pair(tmp_path)
    other = build(3)
    load_trained(tmp_path, other, encoders(other))
    assert all(torch.equal(t, new.head.state_dict()[name]) for name, t in other.head.state_dict().items())


def test_a_head_of_other_prompts_is_no_rest_of_an_export(tmp_path):
    save(tmp_path / "other", build(2))
    save(tmp_path, build(1))
    before = (tmp_path / HEAD_FILE).read_bytes()
    (tmp_path / "other" / HEAD_FILE).rename(tmp_path / f".{HEAD_FILE}.1.tmp")
    for folder in (tmp_path, tmp_path / "absent"):
        finish_pair(folder)
    assert (tmp_path / HEAD_FILE).read_bytes() == before


def test_prompts_and_head_of_different_runs_are_refused(tmp_path):
    save(tmp_path / "a", build(1))
    save(tmp_path / "b", build(2))
    (tmp_path / "a" / HEAD_FILE).write_bytes((tmp_path / "b" / HEAD_FILE).read_bytes())
    refuse(tmp_path / "a", build(), "trained with other prompts")


def test_a_head_of_other_prompts_with_the_same_tensors_is_refused(tmp_path):
    """Each file names the other: swapping prompts that fit the head's own record is noticed as well."""
    save(tmp_path / "a", build(1))
    other = build(1)
    randomize(other.head, seed=5)
    save(tmp_path / "b", other)
    assert (tmp_path / "a" / PROMPTS_FILE).read_bytes() != (tmp_path / "b" / PROMPTS_FILE).read_bytes()
    (tmp_path / "a" / HEAD_FILE).write_bytes((tmp_path / "b" / HEAD_FILE).read_bytes())
    refuse(tmp_path / "a", build(), "trained with other prompts")


def test_an_edited_head_is_refused(tmp_path):
    save(tmp_path, build(1))
    metadata = safe_open(tmp_path / HEAD_FILE, "pt").metadata()
    tensors = {name: tensor + 1 for name, tensor in load_file(tmp_path / HEAD_FILE).items()}
    save_file(tensors, tmp_path / HEAD_FILE, metadata)
    refuse(tmp_path, build(), f"{HEAD_FILE}: its tensors are not those it was written with")


def test_a_head_that_refuses_the_values_leaves_the_model_as_it_was(tmp_path):
    def fussy(model):
        def check(module, _):
            if module.norm.running_mean[0] != 2:
                raise WeightsError("another sentence model")

        model.head.register_load_state_dict_post_hook(check)
        return model

    save(tmp_path, build(1))
    refuse(tmp_path, fussy(build(2)), "another sentence model")


def test_settings_that_change_what_the_model_computes_are_listed(tmp_path):
    model = build(1)
    saved = {
        "encoders": {"visual": {"type": "swin", "weights": "a.safetensors"}, "audio": "shared"},
        "tuner": {"type": "copl", "prompts": {"frame": {"attach": "own"}}, "losses": None},
        "task": {"type": "avs", "head": {"type": "x", "dropout": 0.1}, "dataset": {"type": "y"}},
    }
    save_trained(tmp_path, model, dataclasses.replace(HEADER, encoders=encoders(model), model=saved))
    same = {
        "encoders": {"visual": {"type": "swin", "weights": "timm"}, "audio": "shared"},
        "tuner": {"type": "copl", "prompts": {"frame": {"attach": "own"}}},
        "task": {"type": "avs", "head": {"type": "x", "dropout": 0.1}, "dataset": {"type": "z"}},
    }
    load_trained(tmp_path, model, encoders(model), same)
    other = {
        "encoders": {"visual": {"type": "vit"}, "audio": {"type": "htsat"}},
        "tuner": {"type": "copl", "prompts": {"frame": {"attach": "all"}, "global": {"length": 3}}},
        "task": {"type": "avs", "head": {"type": "x"}},
    }
    with pytest.raises(WeightsError) as error:
        load_trained(tmp_path, model, encoders(model), other)
    for line in (
        "encoders.audio: trained with str 'shared', this config has keys and values",
        "encoders.visual.type: trained with str 'swin', this config has str 'vit'",
        "tuner.prompts.frame.attach: trained with str 'own', this config has str 'all'",
        "tuner.prompts.global: trained with nothing set, this config has keys and values",
        "task.head.dropout: trained with float 0.1, this config has nothing set",
    ):
        assert line in str(error.value)


def rewrite(path, change):
    """Write the file again with its document changed."""
    document = json.loads(safe_open(path, "pt").metadata()["copl"])
    change(document)
    save_file(load_file(path), path, {"copl": json.dumps(document)})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("head"), "head: missing"),
        (lambda d: d.pop("seed"), "seed: required"),
        (lambda d: d.update(seed="three"), "seed: expected int, got str 'three'"),
        (lambda d: d.update(encoders=[]), "encoders: expected keys and values"),
        (lambda d: d.update(names={"classes": "dog"}), "names.classes: expected a list"),
        (lambda d: d.update(format_version="1"), "no format version"),
        (lambda d: d.update(format_version=0), "no format version"),
    ],
)
def test_a_document_that_is_not_as_written_is_refused(tmp_path, change, text):
    save(tmp_path, build())
    rewrite(tmp_path / PROMPTS_FILE, change)
    refuse(tmp_path, build(), PROMPTS_FILE, text)


def test_keys_that_a_later_copl_adds_are_no_obstacle(tmp_path):
    model = build()
    save(tmp_path, model)
    rewrite(tmp_path / PROMPTS_FILE, lambda document: document.update(remark="from the future"))
    assert load_trained(tmp_path, model, encoders(model)).seed == HEADER.seed


def test_headers_are_read_without_torch(tmp_path):
    save(tmp_path, build())
    program = (
        "import sys; from pathlib import Path; from copl_core.checkpoint import read_header, read_trained_file;"
        f"folder = Path({str(tmp_path)!r}); assert read_header(folder).seed == 3;"
        f"assert read_trained_file(folder / {HEAD_FILE!r}).is_intact();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


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


def test_names_that_mean_something_else_are_refused(tmp_path):
    trained, other = build(), build()
    trained.names = {"classes": ("dog", "cat")}
    header = dataclasses.replace(HEADER, encoders=encoders(trained), names=trained.names)
    save_trained(tmp_path, trained, header)
    other.names = {"classes": ("dog", "cow", "cat")}
    expected = (
        "classes: trained with 2, this data set has 3; "
        "number 1 was 'cat' and is 'cow'; number 2 was absent and is 'cat'"
    )
    with pytest.raises(WeightsError, match=expected):
        load_trained(tmp_path, other, encoders(other))
    other.names = {"classes": ("dog", "cat")}
    assert load_trained(tmp_path, other, encoders(other)).names == {"classes": ("dog", "cat")}


def test_every_key_of_the_documents_is_described(repository, tmp_path):
    text = (repository / "docs" / "file-format.md").read_text(encoding="utf-8")
    for path in save(tmp_path, build()):
        document = json.loads(safe_open(path, "pt").metadata()["copl"])
        assert [key for key in document if f"`{key}`" not in text] == []
