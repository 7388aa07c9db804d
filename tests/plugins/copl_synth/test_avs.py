"""The data set on disk: layout, content, determinism, and never a half of it."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from copl_core.cli.main import main as copl
from copl_synth import avs
from copl_synth.__main__ import main
from copl_synth.avs import AvsSettings, write_avs
from copl_synth.classes import CLASS_NAMES
from copl_synth.folder import MARKER, OutputConflictError

SETTINGS = AvsSettings(train=16, val=8, test=8, seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("avs") / "data"
    assert write_avs(out, SETTINGS)
    return out


def table(root: Path) -> list[dict[str, str]]:
    with (root / "s4_meta_data.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digest(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_layout_is_that_of_avsbench_s4_to_the_file(root: Path) -> None:
    header = (root / "s4_meta_data.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "name,start,category,split"
    expected = {MARKER, "s4_meta_data.csv"}
    for row in table(root):
        branch = f"{row['split']}/{row['category']}"
        expected.add(f"s4_data/audio_wav/{branch}/{row['name']}.wav")
        for second in (1, 2, 3, 4, 5):
            expected.add(f"s4_data/visual_frames/{branch}/{row['name']}/{row['name']}_{second}.png")
            if second == 1 or row["split"] != "train":
                expected.add(f"s4_data/gt_masks/{branch}/{row['name']}/{row['name']}_{second}.png")
    assert set(digest(root)) == expected


def test_splits_hold_the_clips_asked_for_in_equal_shares_a_class(root: Path) -> None:
    counts = Counter((row["split"], row["category"]) for row in table(root))
    assert counts == {(split, name): n for split, n in (("train", 2), ("val", 1), ("test", 1)) for name in CLASS_NAMES}
    assert len({row["name"] for row in table(root)}) == 32


def test_frames_are_rgb_and_masks_bilevel_of_one_size(root: Path) -> None:
    for path in (root / "s4_data" / "visual_frames").rglob("*.png"):
        with Image.open(path) as frame:
            assert (frame.mode, frame.size) == ("RGB", (96, 96))
    for path in (root / "s4_data" / "gt_masks").rglob("*.png"):
        with Image.open(path) as mask:
            assert (mask.mode, mask.size) == ("1", (96, 96))
            assert set(np.unique(np.asarray(mask.convert("L")))) == {0, 255}


def test_sounds_are_five_seconds_of_16_khz_mono_16_bit(root: Path) -> None:
    for path in (root / "s4_data" / "audio_wav").rglob("*.wav"):
        with wave.open(str(path)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
            assert sound.getnframes() == 80_000


def test_equal_seeds_give_equal_bytes_however_many_workers(root: Path, tmp_path: Path) -> None:
    write_avs(tmp_path / "again", SETTINGS, workers=2)
    assert digest(tmp_path / "again") == digest(root)


def test_another_seed_changes_every_picture_and_sound(root: Path, tmp_path: Path) -> None:
    write_avs(tmp_path / "other", AvsSettings(train=16, val=8, test=8, seed=4))
    ours, theirs = digest(root), digest(tmp_path / "other")
    media = [name for name in ours if name.endswith((".wav", ".png")) and "gt_masks" not in name]
    assert not [name for name in media if ours[name] == theirs[name]]


def test_splits_share_no_clip(root: Path) -> None:
    media = {name: value for name, value in digest(root).items() if name.endswith((".wav", "_1.png"))}
    assert len(set(media.values())) == len(media)


def test_size_scales_the_frames(tmp_path: Path) -> None:
    write_avs(tmp_path / "big", AvsSettings(train=1, val=0, test=0, size=128))
    (frame,) = (tmp_path / "big" / "s4_data" / "visual_frames").rglob("*_1.png")
    with Image.open(frame) as image:
        assert image.size == (128, 128)


def test_a_complete_folder_is_left_alone(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert write_avs(root, SETTINGS) is False
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_other_settings_are_refused_naming_what_differs(root: Path) -> None:
    with pytest.raises(OutputConflictError, match=r"seed 3 not 5"):
        write_avs(root, AvsSettings(train=16, val=8, test=8, seed=5))


def test_a_strangers_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputConflictError, match="not a generated data set"):
        write_avs(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("field", "value"), [("train", -1), ("seed", -1), ("size", 8)])
def test_impossible_settings_are_refused_with_the_value(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field} .*{value}"):
        AvsSettings(**{field: value})


def test_an_error_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(avs.wave, "open", fail)
    with pytest.raises(OSError, match="disk full"):
        write_avs(tmp_path / "data", SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_leaves_no_data_folder_and_the_next_run_completes_it(tmp_path: Path) -> None:
    out = tmp_path / "data"
    command = [sys.executable, "-m", "copl_synth", "avs", str(out), "--train", "4000", "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + 15
        while not list(tmp_path.glob(".data.*.partial/**/*.wav")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(tmp_path.glob(".data.*.partial/**/*.wav")), "the run never began to write"
    finally:
        process.kill()
        process.wait()
    assert not out.exists()
    assert write_avs(out, AvsSettings(train=1, val=0, test=0))


def test_command_line_writes_repeats_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["avs", str(tmp_path / "data"), "--train", "2", "--val", "1", "--test", "1", "--workers", "1"]
    assert main(words) == 0
    assert "4 clips" in capsys.readouterr().out
    assert main(words) == 0
    assert "already complete" in capsys.readouterr().out
    assert main([*words, "--seed", "9"]) == 2
    refusal = capsys.readouterr()
    assert refusal.out == ""
    assert refusal.err.count("\n") == 1
    assert "seed 0 not 9" in refusal.err


def test_both_commands_know_the_same_names(tmp_path, capsys) -> None:
    written = {}
    for name in ("avs", "avs_s4"):
        sizes = ["--train", "1", "--val", "1", "--test", "1", "--workers", "1"]
        assert main([name, str(tmp_path / f"{name}-module"), *sizes]) == 0
        out = tmp_path / f"{name}-copl"
        assert copl(["data", "synth", name, str(out), "--videos", "3", "--workers", "1"]) == 0
        for folder in (out, tmp_path / f"{name}-module"):
            written[folder.name] = {
                path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
            }

    first = written.popitem()[1]
    assert all(files == first for files in written.values())
