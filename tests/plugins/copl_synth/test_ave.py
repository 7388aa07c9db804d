"""Generated AVE: files in the official form, events both seen and heard, videos that show and sound them."""

import json
from collections import Counter, defaultdict
from itertools import pairwise, permutations, product
from pathlib import Path

import av
import numpy as np
import pytest

from copl_synth import ave, preview
from copl_synth.__main__ import main
from copl_synth.ave import LENGTHS, AveScene, AveSettings, random_scene, render, write_ave
from copl_synth.classes import CLASS_NAMES, CLASSES
from copl_synth.folder import OutputConflictError

SETTINGS = AveSettings(train=8, val=2, test=3, seed=3)
BACKGROUND = "background"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ave") / "data"
    assert write_ave(out, SETTINGS)
    return out


@pytest.fixture(scope="module")
def scenes() -> list[AveScene]:
    return [random_scene(np.random.default_rng((5, index)), category=index % len(CLASSES)) for index in range(2000)]


def parsed(path: Path) -> list[tuple[str, str, int, int]]:
    """Category, name, start and end of each line, as the published code reads them."""
    text = path.read_bytes().decode("ascii")
    assert text.endswith("\n")
    assert "\r" not in text
    rows = []
    for line in text.splitlines():
        category, name, quality, start, end = line.split("&")
        assert quality == "good"
        rows.append((category, name, int(start), int(end)))
    return rows


def decoded(path: Path) -> tuple[np.ndarray, list[float], np.ndarray]:
    """Frames (N, H, W, 3), their times in seconds, and the sound (S,) in [-1, 1]."""
    with av.open(str(path)) as container:
        frames = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return np.stack([frame for frame, _ in frames]), [time for _, time in frames], sound


def truth_of(scene: AveScene) -> list[str | int]:
    """The label of each second from what is seen and heard alone."""
    return [heard if heard in seen else BACKGROUND for heard, seen in zip(scene.heard, scene.seen, strict=True)]


def test_the_folder_holds_a_video_for_each_line_and_nothing_else(root: Path) -> None:
    names = {name for _, name, _, _ in parsed(root / "Annotations.txt")}
    assert len(names) == 13
    lists = {"Annotations.txt", "trainSet.txt", "valSet.txt", "testSet.txt", "scenes.json", "copl_synth.json"}
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found == lists | {f"AVE/{name}.mp4" for name in names}


def test_split_files_part_the_annotations_which_run_by_class_in_order(root: Path) -> None:
    whole = parsed(root / "Annotations.txt")
    splits = {split: parsed(root / f"{split}Set.txt") for split in ("train", "val", "test")}
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 8, "val": 2, "test": 3}
    assert sorted(row for rows in splits.values() for row in rows) == sorted(whole)
    # A reader numbers the classes by their first appearance.
    assert list(dict.fromkeys(row[0] for row in whole)) == list(CLASS_NAMES)
    changes = sum(one[0] != other[0] for one, other in pairwise(whole))
    assert changes == len(CLASS_NAMES) - 1


def test_names_are_like_youtubes_and_some_begin_with_a_dash() -> None:
    names = list(ave.clip_names(AveSettings(train=300, val=40, test=60)).values())
    assert len(set(names)) == 400
    assert all(len(name) == 11 and set(name) <= set(ave._ALPHABET) for name in names)
    assert 60 < sum(name.startswith("-") for name in names) < 140


def test_spans_are_where_the_class_is_both_seen_and_heard(root: Path) -> None:
    described = {scene["name"]: scene for scene in json.loads((root / "scenes.json").read_text())}
    rows = parsed(root / "Annotations.txt")
    assert len(described) == len(rows)
    for category, name, start, end in rows:
        scene = described[name]
        for second in range(10):
            present = category in scene["seen"][second]
            audible = scene["heard"][second] == category
            assert (present and audible) == (start <= second < end)
            # Nor is there an event of any other class.
            assert start <= second < end or scene["heard"][second] not in scene["seen"][second]


def test_background_has_the_class_seen_or_heard_never_neither(scenes: list[AveScene]) -> None:
    kinds = Counter()
    for scene in scenes:
        for second in range(10):
            kinds[(scene.category in scene.seen[second], scene.category == scene.heard[second])] += 1
    total = sum(kinds.values())
    assert kinds[(False, False)] == 0
    assert kinds[(True, True)] / total == pytest.approx(0.6, abs=0.02)
    assert kinds[(True, False)] / total == pytest.approx(0.2, abs=0.02)
    assert kinds[(False, True)] / total == pytest.approx(0.2, abs=0.02)


def test_two_clips_in_ten_are_one_event_and_spans_lie_anywhere(scenes: list[AveScene]) -> None:
    lengths = Counter(scene.end - scene.start for scene in scenes)
    assert set(lengths) == set(LENGTHS)
    assert lengths[10] / len(scenes) == pytest.approx(0.2, abs=0.04)
    assert {scene.start for scene in scenes} == set(range(9))
    assert all(0 <= scene.start < scene.end <= 10 for scene in scenes)
    assert {len(seen) for scene in scenes for seen in scene.seen} == {1, 2, 3}


def test_one_second_of_one_modality_tells_little(scenes: list[AveScene]) -> None:
    """The best lookup table from what is heard, or from all that is seen, to the label, fitted to the very labels."""
    by_sound, by_sight = defaultdict(Counter), defaultdict(Counter)
    for scene in scenes:
        for heard, seen, truth in zip(scene.heard, scene.seen, truth_of(scene), strict=True):
            by_sound[heard][truth] += 1
            by_sight[seen][truth] += 1
    seconds = 10 * len(scenes)
    assert sum(max(counts.values()) for counts in by_sound.values()) / seconds == pytest.approx(0.60, abs=0.02)
    # A table of 92 sets of classes; those with a single object are as telling as a sound, the others less.
    assert 0.4 < sum(max(counts.values()) for counts in by_sight.values()) / seconds < 0.56


def test_a_whole_clip_of_one_modality_is_right_in_three_seconds_of_four_at_most(scenes: list[AveScene]) -> None:
    """Bayes' rule over all scenes there are: of all that could have given this sequence, the likeliest label."""
    weights: dict[tuple[int, ...], list[Counter[int]]] = defaultdict(lambda: [Counter() for _ in range(10)])
    optimum = 0.0
    for length in LENGTHS:
        for start, before, after in product(range(11 - length), (0, 1), (0, 1)):
            inside = [start <= second < start + length for second in range(10)]
            own = [True if event else bool(before if second < start else after) for second, event in enumerate(inside)]
            for category, other in permutations((0, 1)):
                sequence = tuple(category if mine else other for mine in own)
                for second, event in enumerate(inside):
                    weights[sequence][second][category if event else -1] += 1 / (8 * len(LENGTHS) * (11 - length))
    optimum = sum(max(counts.values()) for seconds in weights.values() for counts in seconds) / 10
    assert optimum == pytest.approx(0.759, abs=0.001)

    right = Counter()
    for scene in scenes:
        truth = [scene.category if label != BACKGROUND else -1 for label in truth_of(scene)]
        sights = [next(iter(seen - set(scene.bystanders))) for seen in scene.seen]
        for modality, sequence in (("sound", scene.heard), ("sight", sights)):
            order = {kind: index for index, kind in enumerate(dict.fromkeys(sequence))}
            known = weights[tuple(order[kind] for kind in sequence)]
            guesses = [counts.most_common(1)[0][0] for counts in known]
            right[modality] += sum(
                guess == (order[label] if label >= 0 else -1)
                for guess, label in zip(guesses, truth, strict=True)
                if label < 0 or label in order
            )
    for modality in ("sound", "sight"):
        assert right[modality] / (10 * len(scenes)) == pytest.approx(optimum, abs=0.02)


def test_videos_last_ten_seconds_and_play_what_was_rendered(root: Path) -> None:
    names = ave.clip_names(SETTINGS)
    for split, index in (("train", 0), ("val", 1), ("test", 2)):
        path = root / "AVE" / f"{names[split, index]}.mp4"
        frames, times, sound = decoded(path)
        scene, rng = ave.scene_of(SETTINGS, split, index)
        pictures, samples = render(rng, scene)
        assert frames.shape == (40, 96, 96, 3)
        assert times == [step / 4 for step in range(40)]
        assert np.abs(frames.astype(int) - pictures.repeat(2, axis=0)).mean() < 8
        with av.open(str(path)) as container:
            (stream,) = container.streams.audio
            assert (stream.rate, stream.channels) == (16_000, 1)
            assert container.duration == 10 * av.time_base
        # Sample for sample in time: a shift by half a second's hundredth would tear the correlation apart.
        assert len(sound) >= 160_000
        for second in range(10):
            span = slice(16_000 * second, 16_000 * (second + 1))
            assert np.corrcoef(sound[span], samples[span])[0, 1] > 0.97


def test_a_second_sounds_like_its_class_and_like_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one pure tone for each class, each second holds the tone of the class it is said to hold, and only that."""
    tones = {item.sound: 400.0 + 200 * index for index, item in enumerate(CLASSES)}
    monkeypatch.setattr(
        ave, "voice_of", lambda sound, rng, *, seconds: np.sin(2 * np.pi * tones[sound] * np.arange(160_000) / 16_000)
    )
    for index in range(6):
        rng = np.random.default_rng((9, index))
        scene = random_scene(rng, category=index)
        _, samples = render(rng, scene)
        for second in range(10):
            # Without the ramps at its ends.
            spectrum = np.abs(np.fft.rfft(samples[16_000 * second + 400 : 16_000 * (second + 1) - 400]))
            levels = [spectrum[round(frequency * 0.95)] for frequency in tones.values()]
            assert int(np.argmax(levels)) == scene.heard[second]
            assert sorted(levels)[-2] < 0.1 * max(levels)


def test_the_picture_shows_what_the_scene_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects painted in one flat colour a class appear in the seconds in which the class is said to be seen."""
    paint = ave.draw_clip.__globals__["paint"]
    colours = {CLASSES[kind].texture: kind for kind in range(len(CLASSES))}

    def flat(canvas: np.ndarray, sprite: object) -> object:
        window, cover = paint(canvas, sprite)
        canvas[window][cover] = (1, 0, colours[sprite.texture] / 10)
        return window, cover

    monkeypatch.setitem(ave.draw_clip.__globals__, "paint", flat)
    monkeypatch.setitem(
        ave.draw_clip.__globals__, "random_background", lambda rng, *, size: np.full((size, size, 3), 0.5, np.float32)
    )
    for index in range(6):
        rng = np.random.default_rng((11, index))
        scene = random_scene(rng, category=index)
        pictures, _ = render(rng, scene)
        for step, picture in enumerate(pictures):
            painted = picture[(picture[..., 0] == 255) & (picture[..., 1] == 0)]
            counts = Counter((painted[:, 2] / 25.5).round().astype(int).tolist())
            assert set(counts) == scene.seen[step // 2]
            assert min(counts.values()) > 60


def test_equal_seeds_give_equal_media_however_many_workers(root: Path, tmp_path: Path) -> None:
    write_ave(tmp_path / "again", SETTINGS, workers=2)
    for path in root.rglob("*.*"):
        twin = tmp_path / "again" / path.relative_to(root)
        if path.suffix == ".mp4":
            for one, other in zip(decoded(path), decoded(twin), strict=True):
                assert np.array_equal(one, other)
        else:
            assert path.read_bytes() == twin.read_bytes()


def test_another_seed_changes_every_clip_and_name(root: Path, tmp_path: Path) -> None:
    settings = AveSettings(train=2, val=0, test=0, seed=4)
    write_ave(tmp_path / "other", settings)
    ours = {path.read_bytes() for path in root.rglob("*.mp4")}
    for path in (tmp_path / "other" / "AVE").iterdir():
        assert path.read_bytes() not in ours
        assert not (root / "AVE" / path.name).exists()


def test_a_complete_folder_is_left_alone_and_another_refused(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert write_ave(root, SETTINGS) is False
    with pytest.raises(OutputConflictError, match="seed 3 not 5"):
        write_ave(root, AveSettings(train=8, val=2, test=3, seed=5))
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_an_error_on_the_way_leaves_nothing_and_the_next_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    settings = AveSettings(train=1, val=0, test=0)
    with monkeypatch.context() as patch:
        patch.setattr(ave, "write_clip", fail)
        with pytest.raises(OSError, match="disk full"):
            write_ave(tmp_path / "data", settings)
    assert list(tmp_path.iterdir()) == []
    assert write_ave(tmp_path / "data", settings)


@pytest.mark.parametrize(("field", "value"), [("train", -1), ("seed", -1), ("size", 8), ("size", 97)])
def test_impossible_settings_are_refused_with_the_value(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field} .*{value}"):
        AveSettings(**{field: value})


def test_size_scales_the_video(tmp_path: Path) -> None:
    write_ave(tmp_path / "big", AveSettings(train=1, val=0, test=0, size=128))
    (path,) = (tmp_path / "big" / "AVE").iterdir()
    assert decoded(path)[0].shape == (40, 128, 128, 3)


def test_command_line_writes_repeats_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ave", str(tmp_path / "data"), "--train", "1", "--val", "0", "--test", "1", "--workers", "1"]
    assert main(words) == 0
    assert "2 clips" in capsys.readouterr().out
    assert main(words) == 0
    assert "already complete" in capsys.readouterr().out
    assert main(["avqa", *words[1:]]) == 2
    refusal = capsys.readouterr()
    assert refusal.err.count("\n") == 1
    assert "task ave not avqa" in refusal.err


def test_preview_frames_the_seconds_of_the_event() -> None:
    sheet = np.asarray(preview.ave_sheet(seed=3, rows=4))
    for row in range(4):
        scene = random_scene(np.random.default_rng((preview.STREAM, 3, row)), category=row)
        # One pixel row in the middle of the upper edge of the frames, 102 pixels apart.
        edge = sheet[row * 136 + 18, 6 + 48 :: 102][:10]
        framed = [tuple(pixel) == preview._MARK for pixel in edge.tolist()]
        assert framed == [scene.start <= second < scene.end for second in range(10)]
