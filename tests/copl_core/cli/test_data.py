"""copl data: what it finds, what it writes, and that training refuses exactly what it shows."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from copl_ave.dataset import AVE
from copl_avqa.dataset import MusicAVQA
from copl_core.cli.main import main
from copl_core.contracts import ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe, ProblemsError
from video_files import numbered, tone, write_video

RECIPE = AudioRecipe(mean=0.0, std=0.5)
ANNOTATED = [
    ("Bark", "-aaaaaaaaaa", 0, 10, "train"),
    ("Bark", "bbbbbbbbbbb", 2, 5, "train"),
    ("Clock", "ccccccccccc", 0, 0, "train"),
    ("Clock", "ddddddddddd", 3, 10, "val"),
    ("Bark", "eeeeeeeeeee", 8, 9, "test"),
]


@pytest.fixture
def data(capsys):
    """Run ``copl data`` and return its exit code and what it wrote."""

    def go(*arguments):
        code = main(["data", *map(str, arguments)])
        return code, capsys.readouterr()

    return go


@pytest.fixture
def check(data):
    """Run ``copl data check --json`` and return its exit code and its object."""

    def go(*arguments):
        code, written = data("check", *arguments, "--json")
        return code, json.loads(written.out)

    return go


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> bytes:
    """A video of ten seconds."""
    pictures = [numbered(n) for n in range(20)]
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(
        path, [n / 2 for n in range(20)], pictures=pictures, sound=tone(48000, 10.0, 2), rate=48000
    ).read_bytes()


@pytest.fixture
def ave(tmp_path, clip) -> Path:
    """A small AVE in the official form."""
    root = tmp_path / "AVE_Dataset"
    (root / "AVE").mkdir(parents=True)
    rows = [f"{category}&{name}&good&{start}&{end}\n" for category, name, start, end, _ in ANNOTATED]
    (root / "Annotations.txt").write_text("".join(rows))
    for split in ("train", "val", "test"):
        own = [row for row, (*_, of) in zip(rows, ANNOTATED, strict=True) if of == split]
        (root / f"{split}Set.txt").write_text("".join(own))
    for _, name, *_ in ANNOTATED:
        (root / "AVE" / f"{name}.mp4").write_bytes(clip)
    return root


def load(root: Path, split: str = "train", **settings) -> AVE:
    return AVE(root=str(root), split=split, audio=RECIPE, **settings)


def test_good_data_is_counted_beside_what_was_published(check, ave) -> None:
    code, found = check("ave", ave)

    assert code == 0
    assert found["ready"] is True
    train = found["splits"]["train"]
    assert train["usable"] == 3
    assert train["counts"] == {
        "clips": {"found": 3, "published": 3339},
        "seconds with an event": {"found": 13, "published": 27759},
    }
    assert found["whole"]["clips"] == {"found": 5, "published": 4143}
    assert found["whole"]["events of 10 s"] == {"found": 1, "published": 2750}
    assert found["whole"]["clips of Bark"] == {"found": 3, "published": 171}
    assert [leak["published"] for leak in found["leaks"]] == [10, 8, 0]
    assert not any(leak["videos"] for leak in found["leaks"])


def test_duplicates_and_leaks_are_told_and_do_not_stop_training(check, ave) -> None:
    row = "Bark&bbbbbbbbbbb&good&2&5\n"
    for name in ("trainSet", "testSet"):
        with (ave / f"{name}.txt").open("a") as file:
            file.write(row)

    code, found = check("ave", ave)

    assert code == 0
    assert list(found["splits"]["train"]["duplicates"].values()) == [2]
    leaks = {tuple(leak["splits"]): leak["videos"] for leak in found["leaks"]}
    assert leaks == {("train", "val"): [], ("train", "test"): ["bbbbbbbbbbb"], ("val", "test"): []}


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def mute(path: Path) -> None:
    write_video(path, [n / 2 for n in range(20)])


def blind(path: Path) -> None:
    write_video(path, None, sound=tone(16000, 10.0))


def short(path: Path) -> None:
    write_video(path, [0.0, 0.1, 0.2], sound=tone(16000, 0.3))


def long(path: Path) -> None:
    write_video(path, [float(n) for n in range(61)], sound=tone(16000, 60.0))


def short_sound(path: Path) -> None:
    write_video(path, [n / 2 for n in range(20)], sound=tone(16000, 0.32))


@pytest.mark.parametrize("damage", [truncated, empty, gone, directory, mute, blind, short, long, short_sound])
def test_bad_media_is_shown_and_refused_with_file_and_line(check, data, ave, damage) -> None:
    damage(ave / "AVE" / "bbbbbbbbbbb.mp4")

    code, found = check("ave", ave)
    with pytest.raises(ProblemsError) as caught:
        load(ave)

    assert code == 1
    (problem,) = found["splits"]["train"]["problems"]
    assert problem["where"] == f"{ave}/trainSet.txt:2"
    assert "bbbbbbbbbbb" in problem["what"]
    assert [vars(each) for each in caught.value.problems] == [problem]
    _, written = data("check", "ave", ave)
    assert "│ trainSet.txt:2 │" in written.out
    assert "training would refuse this data: 1 problem; task.dataset.on_error: skip leaves out what has them, 1 of" in (
        written.out
    )
    assert f"found: lists in {ave}; raw videos in {ave}/AVE" in written.out


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("Bark&bbbbbbbbbbb&good&5&2", "the event ends at 2, before its start at 5"),
        ("Dragon&bbbbbbbbbbb&good&2&5", "class 'Dragon' is not in Annotations.txt"),
        ("Bark&bbbbbbbbbbb&good&2", "expected 5 columns"),
        ("Bark&zzzzzzzzzzz&good&2&5", "this row is not in Annotations.txt"),
    ],
)
def test_bad_rows_are_shown_and_refused_with_file_and_line(check, ave, row: str, what: str) -> None:
    lines = (ave / "trainSet.txt").read_text().splitlines()
    (ave / "trainSet.txt").write_text("\n".join([lines[0], row, lines[2]]) + "\n")

    code, found = check("ave", ave)
    with pytest.raises(ProblemsError) as caught:
        load(ave)

    assert code == 1
    (problem,) = found["splits"]["train"]["problems"]
    assert problem["where"] == f"{ave}/trainSet.txt:2"
    assert what in problem["what"]
    assert [vars(each) for each in caught.value.problems] == [problem]


def test_a_split_of_which_nothing_is_left_has_all_its_problems_shown(check, data, ave) -> None:
    gone(ave / "AVE" / "ddddddddddd.mp4")

    code, found = check("ave", ave)

    assert code == 1
    assert found["splits"]["val"]["usable"] == 0
    assert [problem["where"] for problem in found["splits"]["val"]["problems"]] == [f"{ave}/valSet.txt:1"]
    assert found["splits"]["val"]["counts"]["clips"] == {"found": 1, "published": 402}
    assert [leak["splits"] for leak in found["leaks"]] == [["train", "val"], ["train", "test"], ["val", "test"]]
    _, written = data("check", "ave", ave)
    assert "1 problem; task.dataset.on_error: skip does not help, for nothing of val is left" in written.out


def test_missing_lists_are_a_problem_of_each_split(check, data, tmp_path) -> None:
    code, found = check("ave", tmp_path / "nowhere")

    assert code == 1
    assert all("looked in" in split["problems"][0]["what"] for split in found["splits"].values())
    _, written = data("check", "ave", tmp_path / "nowhere")
    assert "skip does not help, for nothing of train and val and test is left" in written.out


def test_questions_lost_are_counted_and_train_s_problems_told_once(check, data, avqa) -> None:
    gone(avqa / "videos" / "00000001.mp4")
    write_questions(avqa, "train", [question(n) for n in range(4)] + [without("anser")])

    options = ("--cfg-options", "negatives=false")  # they need two videos
    code, found = check("avqa", avqa, *options)

    assert code == 1
    assert found["splits"]["train"]["usable"] == 2
    lost = {split: [each["samples"] for each in of["problems"]] for split, of in found["splits"].items()}
    assert lost == {"train": [2, 1], "val": [2], "test": [2]}
    _, written = data("check", "avqa", avqa, *options)
    assert f"found: questions in {avqa}/json_update; raw videos in {avqa}/videos" in written.out
    assert "4 problems; task.dataset.on_error: skip leaves out what has them, 7 of the samples" in written.out


def test_unknown_task_is_told_what_there_is(data, tmp_path) -> None:
    code, written = data("check", "avee", tmp_path)

    assert code == 2
    assert "Did you mean 'ave'" in written.err


def question(number: int, **changes) -> dict:
    return {
        "video_id": f"0000000{number % 2}",
        "question_id": number,
        "type": '["Audio-Visual", "Existential"]',
        "question_content": "Is the <Object> in the video always playing?",
        "templ_values": '["piano"]',
        "question_deleted": 0,
        "anser": "yes",
    } | changes


@pytest.fixture
def avqa(tmp_path, clip) -> Path:
    """A small MUSIC-AVQA in the official form."""
    root = tmp_path / "MUSIC-AVQA"
    (root / "json_update").mkdir(parents=True)
    (root / "videos").mkdir()
    for split in ("train", "val", "test"):
        write_questions(root, split, [question(n) for n in range(4)])
    for name in ("00000000", "00000001"):
        (root / "videos" / f"{name}.mp4").write_bytes(clip)
    return root


def write_questions(root: Path, split: str, records: list[dict]) -> None:
    (root / "json_update" / f"avqa-{split}.json").write_text(json.dumps(records))


def test_questions_are_counted_by_type(check, avqa) -> None:
    write_questions(avqa, "test", [question(0), question(0, anser="yes")])

    code, found = check("avqa", avqa)

    assert code == 0
    counts = found["splits"]["test"]["counts"]
    assert counts["questions"] == {"found": 2, "published": 9129}
    assert counts["questions Audio-Visual Existential"] == {"found": 2, "published": 988}
    assert sum(count["published"] for name, count in counts.items() if name.startswith("questions ")) == 9129
    assert found["splits"]["test"]["duplicates"] == {"0": 2}
    assert found["whole"]["answers"] == {"found": 1, "published": 42}


def without(field: str) -> dict:
    record = question(1)
    del record[field]
    return record


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (without("anser"), "no field anser"),
        (question(1, anser="maybe"), "unknown answer 'maybe'"),
        (question(1, templ_values="[]"), "templ_values holds 0 values"),
        (question(1, video_id="00000009"), "no video of clip '00000009'"),
    ],
)
def test_bad_questions_are_shown_and_refused_with_file_and_record(check, avqa, record: dict, what: str) -> None:
    write_questions(avqa, "val", [question(0), record])

    code, found = check("avqa", avqa)
    with pytest.raises(ProblemsError) as caught:
        MusicAVQA(root=str(avqa), split="val", audio=RECIPE)

    assert code == 1
    (problem,) = found["splits"]["val"]["problems"]
    assert problem["where"] == f"{avqa}/json_update/avqa-val.json[1]"
    assert what in problem["what"]
    assert [vars(each) for each in caught.value.problems] == [problem]


def test_masks_of_another_size_and_missing_ones(data, check, tmp_path) -> None:
    data("synth", "avs_s4", tmp_path / "avs", "--videos", 6, "--workers", 1)
    masks = sorted((tmp_path / "avs/s4_data/gt_masks/val").glob("*/*/*.png"))
    Image.new("1", (16, 16)).save(masks[0])
    first_train = min((tmp_path / "avs/s4_data/gt_masks/train").glob("*/*/*.png"))
    first_train.unlink()

    code, found = check("avs_s4", tmp_path / "avs")

    assert code == 1
    (odd,) = found["splits"]["val"]["problems"]
    assert f"mask {masks[0]} is 16x16, most masks are" in odd["what"]
    (missing,) = found["splits"]["train"]["problems"]
    assert f"files are missing: {first_train}" in missing["what"]
    lines = (tmp_path / "avs/s4_meta_data.csv").read_text().splitlines()
    assert lines[int(missing["where"].rpartition(":")[2]) - 1].startswith(first_train.parent.name)


def test_masks_of_another_size_in_a_whole_split(data, check, tmp_path) -> None:
    data("synth", "avs_s4", tmp_path / "avs", "--videos", 6, "--workers", 1)
    for mask in (tmp_path / "avs/s4_data/gt_masks/val").glob("*/*/*.png"):
        Image.new("1", (64, 64)).save(mask)

    code, found = check("avs_s4", tmp_path / "avs")

    assert code == 1
    assert not any(split["problems"] for split in found["splits"].values())
    assert "differ in size: train 96x96, val 64x64, test 96x96" in found["misfit"]
    _, written = data("check", "avs_s4", tmp_path / "avs")
    assert "masks of the splits differ in size" in written.out
    assert "1 problem; task.dataset.on_error: skip does not help" in written.out


def test_a_list_that_cannot_be_read_is_told_once_with_its_line(data, check, tmp_path) -> None:
    data("synth", "avs_s4", tmp_path / "avs", "--videos", 6, "--workers", 1)
    path = tmp_path / "avs/s4_meta_data.csv"
    path.write_text(path.read_text().replace("split", "part", 1))

    _, found = check("avs_s4", tmp_path / "avs")
    _, written = data("check", "avs_s4", tmp_path / "avs")

    assert [split["problems"][0]["where"] for split in found["splits"].values()] == [f"{path}:1"] * 3
    assert written.out.count("no column 'split'") == 1
    assert "refuse this data: 1 problem;" in written.out


def bound(dataset: AVE) -> AVE:
    dataset.bind(ImageSpec(height=64, width=64), SpectrogramSpec(frames=98, mel_bins=64))
    return dataset


def test_prepared_cache_gives_what_the_videos_give(data, ave, tmp_path) -> None:
    code, written = data("prepare", "ave", ave, tmp_path / "cache", "--workers", "0")

    assert code == 0
    assert "5 clips" in written.out
    assert "of about" in written.err
    raw, cached = bound(load(ave)), bound(load(ave, media=str(tmp_path / "cache")))
    assert len(raw) == len(cached) == 3
    for index in range(3):
        one, other = raw[index], cached[index]
        assert (one["label"] == other["label"]).all()
        # JPEG, and 48 kHz kept as 32 kHz: a little is lost, nothing is exchanged.
        assert (one["visual"] - other["visual"]).abs().mean() < 0.1
        heard = (one["audio"] - other["audio"])[one["audio"] > -5]
        assert heard.abs().mean() < 0.05
    assert data("check", "ave", ave, "--cfg-options", f"media={tmp_path / 'cache'}")[0] == 0


def test_prepare_keeps_what_is_whole_and_mends_what_is_damaged(data, ave, tmp_path) -> None:
    cache = tmp_path / "cache"
    data("prepare", "ave", ave, cache, "--workers", "0")
    files = sorted((cache / "clips").iterdir())
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    files[1].write_bytes(before[files[1]][0][:-100])
    files[2].unlink()
    (cache / "clips" / ".x.zip.99.tmp").write_bytes(b"half")

    code, written = data("prepare", "ave", ave, cache, "--workers", "0")

    assert code == 0
    assert "of which 3 were there before" in written.out
    assert sorted((cache / "clips").iterdir()) == files
    assert all(path.read_bytes() == before[path][0] for path in files)
    kept = [path for path in files if path.stat().st_mtime_ns == before[path][1]]
    assert kept == [files[0], *files[3:]]


def test_prepare_goes_on_after_a_kill(data, ave, tmp_path) -> None:
    cache = tmp_path / "cache"
    copl = [sys.executable, "-c", "import sys; from copl_core.cli.main import main; sys.exit(main())"]
    command = [*copl, "data", "prepare", "ave", str(ave), str(cache), "--workers", "1"]
    rows = [f"Bark&k{n:010d}&good&0&{n % 10 + 1}\n" for n in range(60)]
    for name in ("Annotations", "trainSet"):
        with (ave / f"{name}.txt").open("a") as file:
            file.writelines(rows)
    for n in range(60):
        os.link(ave / "AVE" / "bbbbbbbbbbb.mp4", ave / "AVE" / f"k{n:010d}.mp4")

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list((cache / "clips").glob("[!.]*.zip"))) < 3:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path.name: path.stat().st_mtime_ns for path in (cache / "clips").glob("[!.]*.zip")}
    assert 3 <= len(done) < 65

    code, written = data("prepare", "ave", ave, cache, "--workers", "0")

    assert code == 0
    assert f"65 clips, {sum(path.stat().st_size for path in (cache / 'clips').iterdir()) / 1e6:.1f} MB" in written.out
    assert f"of which {len(done)} were there before" in written.out
    assert {name: (cache / "clips" / name).stat().st_mtime_ns for name in done} == done
    assert not list((cache / "clips").glob(".*"))
    assert len(bound(load(ave, media=str(cache)))) == 63


def test_clips_that_cannot_be_decoded_are_named_and_the_others_are_made(data, ave, tmp_path) -> None:
    gone(ave / "AVE" / "bbbbbbbbbbb.mp4")
    options = ("--workers", "0")

    assert data("prepare", "ave", ave, tmp_path / "cache", *options)[0] == 2
    code, written = data("prepare", "ave", ave, tmp_path / "cache", *options, "--cfg-options", "on_error=skip")

    assert code == 1
    assert f"{ave}/trainSet.txt:2  no video of clip 'bbbbbbbbbbb'" in written.out
    assert "1 of 5 clips could not be made" in written.out
    assert len(list((tmp_path / "cache/clips").iterdir())) == 4


def test_allowed_silence_is_kept_as_such_and_has_to_be_allowed_again(data, ave, tmp_path) -> None:
    mute(ave / "AVE" / "bbbbbbbbbbb.mp4")
    silence = ("--cfg-options", "missing_audio=silence")

    assert data("prepare", "ave", ave, tmp_path / "cache", "--workers", "0", *silence)[0] == 0

    with pytest.raises(ProblemsError, match="has no sound"):
        load(ave, media=str(tmp_path / "cache"))
    assert len(load(ave, media=str(tmp_path / "cache"), missing_audio="silence")) == 3


def test_another_setting_in_the_same_folder_is_refused(data, ave, tmp_path) -> None:
    data("prepare", "ave", ave, tmp_path / "cache", "--workers", "0")

    code, written = data("prepare", "ave", ave, tmp_path / "cache", "--workers", "0", "--size", "128")

    assert code == 2
    assert "size 256 (now 128)" in written.err


def test_stats_are_averages_over_segments_as_lavish_has_them(data, ave, repository) -> None:
    config = repository / "configs/demo/ave_swin_nano_shared.yaml"
    dataset = load(ave)
    dataset.bind(ImageSpec(height=96, width=96), SpectrogramSpec(frames=96, mel_bins=96))
    recipe = AudioRecipe(seconds=1.0, frame_shift_ms=10, mean=0.0, std=0.5)
    dataset.recipe = recipe
    quiet = write_video(
        ave / "AVE" / "bbbbbbbbbbb.mp4", [n / 2 for n in range(20)], sound=0.01 * tone(48000, 10.0, 2), rate=48000
    )
    assert quiet.exists()
    segments = [segment[0].numpy().astype(np.float64) for index in range(3) for segment in dataset[index]["audio"]]

    options = ("--workers", "0", "--cfg-options", f"task.dataset.root={ave}")
    code, written = data("stats", config, *options)

    assert code == 0
    audio = yaml.safe_load(written.out)["task"]["dataset"]["audio"]
    # Of each second by itself, without what fills it up; then the mean over seconds.
    rows = [segment[(segment != 0).any(axis=1)] for segment in segments]
    assert audio["mean"] == pytest.approx(np.mean([each.mean() for each in rows]), abs=1e-3)
    assert audio["std"] == pytest.approx(np.mean([each.std() for each in rows]), abs=1e-3)
    assert np.concatenate(rows).std() > audio["std"] + 0.1
    assert (audio["seconds"], audio["frame_shift_ms"]) == (1.0, 10)


@pytest.mark.parametrize("task", ["ave", "avqa", "avs_s4"])
def test_generated_data_is_what_the_data_set_of_that_name_reads(data, check, tmp_path, task: str) -> None:
    arguments = ("synth", task, tmp_path / "out", "--videos", "5", "--seed", "3", "--workers", "1")
    code, written = data(*arguments)

    assert (code, "written: train 3, val 1, test 1" in written.out) == (0, True)
    options = ("--cfg-options", "unknown_words=pad") if task == "avqa" else ()
    _, found = check(task, tmp_path / "out", *options)
    key = "videos" if task == "avqa" else "clips"
    counts = {name: split["counts"][key]["found"] for name, split in found["splits"].items()}
    assert counts == {"train": 3, "val": 1, "test": 1}
    assert "already complete" in data(*arguments)[1].out


@pytest.mark.parametrize(("videos", "out"), [(2, "new"), (5, "taken")])
def test_generating_what_cannot_be_is_a_mistake(data, tmp_path, videos: int, out: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")

    code, written = data("synth", "ave", tmp_path / out, "--videos", videos, "--workers", "1")

    assert code == 2
    assert ("at least 3 are needed" if out == "new" else "choose another folder") in written.err
    assert (tmp_path / "taken" / "file").read_text() == "mine"


def test_a_data_set_without_videos_has_nothing_to_prepare(data, tmp_path) -> None:
    data("synth", "avs_s4", tmp_path / "avs", "--videos", "3", "--workers", "1")

    code, written = data("prepare", "avs_s4", tmp_path / "avs", tmp_path / "cache")

    assert code == 2
    assert "nothing to prepare" in written.err
    assert not (tmp_path / "cache").exists()
