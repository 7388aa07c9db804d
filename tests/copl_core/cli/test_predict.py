"""copl predict from the command line: results of what can be used, one message for each input that can't."""

import argparse
import json
import re
import shlex
import time

import numpy as np
import pytest

from copl_core.cli.main import main
from copl_core.cli.predict import _progress as progress_bar
from copl_core.cli.predict import add_parser
from copl_core.data import probe
from copl_core.data.media import VIDEOS
from copl_synth.ave import AveSettings, write_ave
from copl_synth.avqa import AvqaSettings, write_avqa
from exports import export_untrained
from video_files import tone, write_video


@pytest.fixture(scope="module")
def exports(tmp_path_factory, demo_root):
    """An export of each task."""
    root = tmp_path_factory.mktemp("exports")
    write_ave(root / "data-ave", AveSettings(train=1, val=1, test=1))
    write_avqa(root / "data-avqa", AvqaSettings(train=2, val=1, test=1))
    for task, data in (("ave", root / "data-ave"), ("avqa", root / "data-avqa"), ("avs", demo_root)):
        options = ["task.head.channels=8"] if task == "avs" else []
        config = f"{task}_swin_nano_shared.yaml"
        export_untrained(root / task, config, f"task.dataset.root={data}", *options, split="train")
    return root


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of good and bad videos."""
    root = tmp_path_factory.mktemp("videos")
    times = [i / 4 for i in range(48)]
    write_video(root / "a mute.mp4", times)
    write_video(root / "b good.webm", times, codec="libvpx", sound=tone(48000, 12), rate=48000, sound_codec="libopus")
    write_video(root / "c short.mp4", [0.0, 0.25], sound=tone(16000, 0.5))
    write_video(root / "d silent.mp4", times, sound=np.zeros((1, 192000), np.float32))
    (root / "e broken.mp4").write_bytes(b"no video")
    return root


@pytest.fixture
def predict(exports, tmp_path, capsys):
    """Run ``copl predict``; returns exit code, standard output and error."""

    def go(task: str, *arguments) -> tuple[int, str, str]:
        out = ["--out", str(tmp_path / "out"), "--device", "cpu"]
        code = main(["predict", str(exports / task), *map(str, arguments), *out])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return go


def test_bad_inputs_are_told_one_by_one_and_the_others_predicted(predict, videos, tmp_path) -> None:
    code, out, err = predict("ave", videos, tmp_path / "absent.mp4", videos / "b good.webm")
    assert code == 2
    lines = err.splitlines()
    whats = ("a mute.mp4 has no sound track", "c short.mp4 lasts 0.25 s: too short", "d silent.mp4 is silent",
             "e broken.mp4: not a video file", "no such file or folder: ")  # fmt: skip
    assert len(lines) == len(whats)
    for line, what in zip(lines, whats, strict=True):
        assert line.startswith("copl predict: ")
        assert what in line
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b good", "b good-2"]
    assert out.count("b good.webm\n") == 2


@pytest.mark.parametrize("task", ["ave", "avs", "avqa"])
def test_bad_inputs_are_told_before_the_first_is_predicted(predict, videos, task, monkeypatch, capsys) -> None:
    told = []

    def first(self, batch):
        told.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    monkeypatch.setattr("copl_core.model.TwoStream.forward", first)
    question = ["--question", "Is there a voiceover?"] if task == "avqa" else []
    predict(task, videos / "b good.webm", videos, "absent.mp4", *question)
    assert len(told) == 1
    for what in ("a mute.mp4 has no sound track", "c short.mp4 lasts", "d silent.mp4 is silent", "e broken.mp4: not",
                 "no such file or folder: absent.mp4"):  # fmt: skip
        assert told[0].count(what) == 1


def test_a_question_that_no_video_can_answer_is_told_once(predict, videos) -> None:
    code, _, err = predict("avqa", videos / "b good.webm", videos / "b good.webm", "--question", "Is the zorb blue?")
    assert code == 2
    assert err.count("'zorb'") == 1


def test_a_folder_of_pictures_says_what_to_do(predict, tmp_path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "1.png").write_bytes(b"")
    code, out, err = predict("avs", tmp_path / "frames")
    assert (code, out) == (2, "")
    assert err.startswith(f"copl predict: no video (mp4, mkv, webm, avi, mov, flv) in folder {tmp_path / 'frames'}")
    assert "make a video first" in err


def test_on_a_terminal_windows_are_counted_and_drawing_is_timed(monkeypatch, capsys) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes rich take the pipe for a terminal
    with progress_bar("clip.mp4") as told:
        told(1, 2)
        time.sleep(0.3)  # drawn ten times a second
        told(2, 2)
        time.sleep(0.3)
    steps = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    first, then = steps.index("window 1 of 2"), steps.index("drawing")
    assert first < then
    assert re.search(r"clip\.mp4 .* drawing 0:00:00", steps[then - 100 :])


def test_events_are_written_as_json_and_timeline(predict, videos, tmp_path) -> None:
    code, out, err = predict("ave", videos / "b good.webm")
    assert (code, err) == (0, "")
    folder = tmp_path / "out" / "b good"
    assert {path.name for path in folder.iterdir()} == {"timeline.png", "prediction.json"}
    assert str(folder / "timeline.png") in out
    result = json.loads((folder / "prediction.json").read_text())
    assert result["video"] == "b good.webm"
    assert [row["start"] for row in result["timeline"]] == list(range(12))
    rows = [max(row["probabilities"], key=row["probabilities"].get) for row in result["timeline"]]
    for event in result["events"]:
        assert set(rows[int(event["start"]) : round(event["end"])]) == {event["class"]}


def test_masks_are_written_with_an_overlay_that_sounds(predict, videos, tmp_path) -> None:
    code, _, err = predict("avs", videos / "b good.webm")
    assert (code, err) == (0, "")
    folder = tmp_path / "out" / "b good"
    result = json.loads((folder / "prediction.json").read_text())
    assert [mask["time"] for mask in result["masks"]] == [second + 0.9375 for second in range(12)]
    assert sorted(f"masks/{p.name}" for p in (folder / "masks").iterdir()) == [m["file"] for m in result["masks"]]
    overlay = probe(folder / "overlay.mp4")
    assert overlay.seconds == pytest.approx(12, abs=0.3)
    assert overlay.rate == 48000
    assert (folder / "masks.png").stat().st_size > 1000


def test_an_answer_is_written_with_its_card(predict, videos, tmp_path) -> None:
    code, out, _ = predict("avqa", videos / "b good.webm", "--question", "is there a voiceover")
    assert code == 0
    result = json.loads((tmp_path / "out" / "b good" / "prediction.json").read_text())
    assert result["question"] == "Is there a voiceover?"
    assert len(result["answers"]) == 5
    assert result["answer"] == result["answers"][0]["answer"]
    assert "Is there a voiceover?" in out
    assert (tmp_path / "out" / "b good" / "answer.png").exists()


def test_a_missing_or_strange_question_costs_no_folder(predict, videos, tmp_path) -> None:
    assert predict("avqa", videos / "b good.webm")[0] == 2
    code, _, err = predict("avqa", videos / "b good.webm", "--question", "Is there a voicover?")
    assert code == 2
    assert "not 'voicover' (did you mean 'voiceover'?)" in err
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_told(predict, videos, tmp_path) -> None:
    (tmp_path / "out").write_text("a file")
    code, _, err = predict("ave", videos / "b good.webm")
    assert code == 2
    assert f"cannot write to {tmp_path / 'out'}" in err


def test_a_folder_without_an_export_is_told(predict, tmp_path, videos, capsys) -> None:
    assert main(["predict", str(tmp_path), str(videos)]) == 2
    assert f"no prompts.safetensors at {tmp_path}" in capsys.readouterr().err


def test_commands_of_the_page_are_understood(repository) -> None:
    page = (repository / "docs" / "predict.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    commands = re.findall(r"^copl (predict .*)$", page, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert parser.parse_args(shlex.split(command)).inputs


def test_the_page_names_the_endings_that_a_folder_is_searched_for(repository) -> None:
    page = (repository / "docs" / "predict.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"^Of a folder, the files that end in ([^,]*(?:, [^,]*)*) are taken", page, re.MULTILINE)
    assert re.findall(r"`(\.\w+)`", sentence) == list(VIDEOS)
