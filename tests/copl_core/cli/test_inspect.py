"""``copl inspect``: what is in exported prompts."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from copl_core.cli.main import main


@pytest.fixture
def folder(repository, tmp_path):
    """A copy of the oldest exported files."""
    return shutil.copytree(repository / "tests" / "data" / "format-v1", tmp_path / "export")


@pytest.fixture
def inspect(capsys):
    """Run ``copl inspect`` and return exit code, output and messages."""

    def go(*arguments):
        code = main(["inspect", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def test_it_says_what_a_person_wants_to_know(inspect, folder):
    code, out, err = inspect(folder)
    assert (code, err) == (0, "")
    for part in (
        "copl.prompts 1, by copl 0.1.0, 15 tensors, 114 values",
        "copl.head 1",
        "seed 3, protocol standard, scores val/accuracy 0.7500",
        "encoder visual: architecture=line weights=file:line.safetensors",
        "classes (3): dog, chat, 犬",
        "tuner: tuner copl copl_prompts",
        "type: global_prompts",
        "prompts.interaction.couplings.1.banks.0.entries  float32 3x4",
        "norm.num_batches_tracked  int64 scalar",
    ):
        assert part in out


def test_json_holds_every_key_of_the_document_and_every_tensor(inspect, folder):
    _, out, _ = inspect(folder, "--json")
    prompts, head = json.loads(out)["files"]
    for described, name in ((prompts, "prompts"), (head, "head")):
        with safe_open(folder / f"{name}.safetensors", "pt") as handle:
            document = json.loads(handle.metadata()["copl"])
            shapes = {key: list(handle.get_tensor(key).shape) for key in handle.keys()}  # noqa: SIM118
        assert described["digest"] == document.pop("tensors")
        assert {key: described[key] for key in document} == document
        assert {key: info["shape"] for key, info in described["tensors"].items()} == shapes


def test_one_file_alone(inspect, folder):
    code, out, _ = inspect(folder / "head.safetensors")
    assert code == 0
    assert "copl.head 1" in out
    assert "copl.prompts" not in out
    (folder / "head.safetensors").unlink()
    assert inspect(folder)[0] == 0


def test_changed_tensors_and_foreign_heads_are_told(inspect, folder):
    path = folder / "head.safetensors"
    with safe_open(path, "pt") as handle:
        document = json.loads(handle.metadata()["copl"])
    tensors = {key: tensor + 1 for key, tensor in load_file(path).items()}
    save_file(tensors, path, {"copl": json.dumps(document)})
    code, out, err = inspect(folder)
    assert code == 2
    assert "encoder visual" in out
    assert f"{path}: its tensors are not those it was written with" in err
    save_file(tensors, path, {"copl": json.dumps({**document, "prompts": "0" * 64})})
    assert "was trained with other prompts" in inspect(folder)[2]


def test_a_file_from_a_stranger_cannot_steer_the_terminal(inspect, folder):
    path = folder / "prompts.safetensors"
    with safe_open(path, "pt") as handle:
        document = json.loads(handle.metadata()["copl"])
    document["names"] = {"classes": ["\x1b[2J", "\ud800", "\u202e"]}
    save_file({"\x1b[31m": torch.zeros(1)}, path, {"copl": json.dumps(document)})
    _, out, _ = inspect(path)
    assert "\x1b" not in out
    assert r"classes (3): \x1b[2J, \ud800, \u202e" in out


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04" * 40])
def test_what_is_no_such_file_is_one_message(inspect, tmp_path, content):
    path = tmp_path / "prompts.safetensors"
    assert "no prompts.safetensors" in inspect(path)[2]
    path.write_bytes(content)
    code, out, err = inspect(path)
    assert (code, out) == (2, "")
    assert f"cannot read {path}" in err
