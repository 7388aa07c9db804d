"""``copl export``: prompts and head from a resume state."""

import dataclasses
import shutil

import torch
from safetensors.torch import load_file

from copl_core.checkpoint import read_header
from copl_core.cli.main import main

NAMES = ("prompts.safetensors", "head.safetensors")


def test_the_state_holds_the_same_as_the_export_of_its_epoch(run, tmp_path, capsys):
    result, folder = run("schedule.epochs=1")
    best, out = result.export, tmp_path / "out"
    assert main(["export", str(folder), str(out)]) == 0
    assert "the state at the end of epoch 1," in capsys.readouterr().out
    assert read_header(out) == dataclasses.replace(read_header(best), scores={})
    for name in NAMES:
        ours, theirs = load_file(out / name), load_file(best / name)
        assert ours.keys() == theirs.keys()
        assert all(bool((ours[key] == theirs[key]).all()) for key in ours)
    # The head has no scores in it: same bytes.
    assert (out / NAMES[1]).read_bytes() == (best / NAMES[1]).read_bytes()

    weights = torch.load(folder / "resume.pt", weights_only=True)
    weights["extra"]["encoders"]["visual"]["weights"] = "0" * 64
    torch.save(weights, folder / "resume.pt")
    assert main(["export", str(folder / "resume.pt"), str(tmp_path / "other")]) == 2
    assert "trained on other encoder weights" in capsys.readouterr().err


def test_data_and_weights_may_have_moved(run, demo_root, tmp_path, capsys):
    _, folder = run("schedule.epochs=1")
    whole, _ = run("schedule.epochs=1", "schedule.accumulate=1", work_dir=folder, resume=True)
    moved = tmp_path / "elsewhere" / "data"
    shutil.copytree(demo_root, moved)
    state = torch.load(folder / "resume.pt", weights_only=True)
    state["extra"]["config"]["task"]["dataset"]["root"] = "/gone"
    torch.save(state, folder / "resume.pt")
    assert main(["export", str(folder), str(tmp_path / "out")]) == 2
    assert "/gone" in capsys.readouterr().err
    place = f"task.dataset.root={moved}"
    assert main(["export", str(folder), str(tmp_path / "out"), "--cfg-options", place]) == 0
    for name in NAMES[1:]:
        assert (tmp_path / "out" / name).read_bytes() == (whole.export / name).read_bytes()
    resumed, _ = run("schedule.epochs=1", place, work_dir=folder, resume=True)
    assert resumed.scores == whole.scores


def test_another_model_is_no_place(run, tmp_path, capsys):
    _, folder = run("schedule.epochs=1")
    option = "tuner.prompts.frame.attach=all"
    assert main(["export", str(folder), str(tmp_path / "out"), "--cfg-options", option]) == 2
    assert "these parts differ: tuner.prompts.frame.attach ('own', now 'all')" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_mistakes_are_told_and_nothing_is_replaced(tmp_path, capsys):
    taken, out = tmp_path / "taken", tmp_path / "out"
    taken.mkdir()
    (taken / NAMES[0]).write_bytes(b"the best epoch")
    assert main(["export", str(tmp_path), str(taken)]) == 2
    assert "already holds prompts.safetensors" in capsys.readouterr().err
    assert (taken / NAMES[0]).read_bytes() == b"the best epoch"
    for path in (tmp_path, tmp_path / "absent" / "resume.pt"):
        assert main(["export", str(path), str(out)]) == 2
        assert f"no resume state at {path}" in capsys.readouterr().err
    (tmp_path / "resume.pt").write_bytes(b"no state")
    assert main(["export", str(tmp_path / "resume.pt"), str(out)]) == 2
    assert "cannot read the resume state" in capsys.readouterr().err
    assert not out.exists()
