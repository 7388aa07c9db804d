"""Data that is not as it should be, from the start of a run to its results."""

import json
import shutil

import pytest

from copl_core.api import DataError
from copl_core.cli.main import main

CONFIG = "configs/demo/avs_swin_nano_shared.yaml"


def test_what_is_on_disk_is_told_in_the_log(run, demo_root):
    _, folder = run("schedule.epochs=1")

    assert f"data: AVSBench S4 in {demo_root}" in (folder / "train.log").read_text()


def test_masks_that_do_not_fit_the_head_are_refused_before_training(run):
    with pytest.raises(DataError, match=r"masks are 96x96 but the head predicts 64x64: set task\.head\.output_size to"):
        run("task.head.output_size=64")


@pytest.fixture
def flawed(demo_root, tmp_path):
    """The demo's data; of its four test clips one lacks a frame, another has a mask that breaks off."""
    shutil.copytree(demo_root, tmp_path / "flawed")
    frames = sorted((tmp_path / "flawed/s4_data/visual_frames/test").glob("*/*/*_3.png"))
    masks = sorted((tmp_path / "flawed/s4_data/gt_masks/test").glob("*/*/*_3.png"))
    frames[0].unlink()
    masks[1].write_bytes(masks[1].read_bytes()[:-40])
    return tmp_path / "flawed"


def test_clips_left_out_of_a_test_are_told_and_counted(run, repository, flawed, tmp_path, capsys):
    result, _ = run("schedule.epochs=1")
    options = [f"task.dataset.root={flawed}", "task.head.channels=8", "schedule.workers=0", "schedule.batch_size=2"]
    command = [
        "test",
        str(repository / CONFIG),
        str(result.export),
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "o.json"),
    ]

    assert main([*command, "--cfg-options", *options]) == 2
    capsys.readouterr()
    assert main([*command, "--cfg-options", *options, "task.dataset.on_error=skip"]) == 0

    written = capsys.readouterr().out
    lines = [line for line in written.splitlines() if line.startswith("skipped in test: ")]
    places = [line.split(": ", 1)[1].split("  ")[0] for line in lines]
    assert all(place.startswith(f"{flawed}/s4_meta_data.csv:") for place in places)
    assert "1 of its 11 files are missing" in lines[0]
    assert "_3.png" in lines[1]
    assert "2 samples skipped, the scores are over the others" in written
    assert json.loads((tmp_path / "o.json").read_text())["skipped"] == 2
