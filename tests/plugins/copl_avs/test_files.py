"""Files of AVSBench that are missing or wrong: each is told with the line of its clip, before training starts."""

import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

from copl_avs.dataset import AvsS4
from copl_avs.files import look_at
from copl_avs.index import load_index
from copl_core.api import ConfigError
from copl_core.contracts import ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe, ProblemsError, audio_segments

RECIPE = AudioRecipe(mean=0.0, std=0.5)
MASKS = "s4_data/gt_masks/{}/race_car/{}"


def broken(root, split: str = "val") -> dict[str, str]:
    """What is wrong, by name of the clip."""
    look = look_at(load_index(str(root), split).clips, tolerance=1.0, silence=False)
    return {clip.name: what for clip, what in look.broken.items()}


def load(root, split: str = "val", **settings) -> AvsS4:
    return AvsS4(root=str(root), split=split, audio=RECIPE, **settings)


def test_nothing_is_wrong_with_a_complete_data_set(s4) -> None:
    assert [broken(s4, split) for split in ("train", "val", "test")] == [{}, {}, {}]


def test_missing_files_of_a_clip_are_counted_and_the_first_is_named(s4) -> None:
    shutil.rmtree(s4 / MASKS.format("val", "ghi_1"))
    sound = s4 / "s4_data/audio_wav/val/race_car/ghi_1.wav"
    sound.unlink()

    assert broken(s4)["ghi_1"].startswith(
        f"6 of its 11 files are missing: {sound} and 5 more; unpack the archive again"
    )


def test_training_split_needs_only_the_first_mask(s4) -> None:
    name = "-abc_10000_15000"
    mask = s4 / MASKS.format("train", name) / f"{name}_1.png"
    mask.unlink()

    assert broken(s4, "train")[name].startswith(f"1 of its 7 files are missing: {mask};")


@pytest.mark.parametrize("kind", ["visual_frames", "gt_masks"])
@pytest.mark.parametrize("wrong", ["directory", "text", "empty"])
@pytest.mark.parametrize("number", [1, 3, 5])
def test_what_is_no_image_is_named(s4, kind: str, wrong: str, number: int) -> None:
    path = s4 / f"s4_data/{kind}/val/race_car/ghi_1/ghi_1_{number}.png"
    path.unlink()
    path.mkdir() if wrong == "directory" else path.write_text("hello" if wrong == "text" else "")

    reason = "a directory, not a file" if wrong == "directory" else "not an image file, or a damaged one"
    assert broken(s4)["ghi_1"].startswith(f"cannot read image {path}: {reason};")


@pytest.mark.parametrize("samples", [None, 0])
def test_sound_that_is_none(s4, samples: int | None) -> None:
    path = s4 / "s4_data/audio_wav/val/race_car/ghi_1.wav"
    path.write_bytes(b"RIFF") if samples is None else soundfile.write(path, np.zeros(samples), 16000)

    assert str(path) in broken(s4)["ghi_1"]


def test_mask_of_another_size_than_most(s4) -> None:
    path = s4 / MASKS.format("val", "ghi_1") / "ghi_1_2.png"
    Image.new("L", (16, 20)).save(path)

    assert broken(s4)["ghi_1"].startswith(f"mask {path} is 16x20, most masks are 32x32;")


def test_training_is_refused_with_file_and_line(s4) -> None:
    shutil.rmtree(s4 / MASKS.format("val", "ghi_1"))

    with pytest.raises(ProblemsError) as caught:
        load(s4)

    (problem,) = caught.value.problems
    assert problem.where == f"{s4}/s4_meta_data.csv:4"
    assert "split 'val' of AVSBench S4: 1 problem:" in str(caught.value)


def test_clips_with_problems_are_skipped_on_demand(s4) -> None:
    shutil.rmtree(s4 / MASKS.format("train", "d.e.f_0_5000").replace("race_car", "horse_clip-clop"))

    dataset = load(s4, "train", on_error="skip")

    assert [clip.name for clip in dataset.clips] == ["-abc_10000_15000"]
    assert [problem.where for problem in dataset.skipped] == [f"{s4}/s4_meta_data.csv:3"]
    assert dataset.contents.counts["clips"].found == 2
    assert dataset.contents.counts["clips"].published == 3452


def test_a_clip_that_is_listed_twice_is_counted_and_skipped_twice(s4) -> None:
    path = s4 / "s4_meta_data.csv"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows, rows[1], rows[2]]) + "\n")
    shutil.rmtree(s4 / MASKS.format("train", "d.e.f_0_5000").replace("race_car", "horse_clip-clop"))

    dataset = load(s4, "train", on_error="skip")

    assert [clip.name for clip in dataset.clips] == ["-abc_10000_15000"] * 2
    assert [problem.where for problem in dataset.skipped] == [f"{path}:3", f"{path}:7"]
    assert dataset.contents.counts["clips"].found == 4


def test_rows_and_files_are_told_together(s4) -> None:
    path = s4 / "s4_meta_data.csv"
    path.write_text(path.read_text() + "x,1,race_car\ny,1,..,train\n")
    shutil.rmtree(s4 / MASKS.format("train", "-abc_10000_15000"))

    with pytest.raises(ProblemsError) as caught:
        load(s4, "train")

    assert [problem.where for problem in caught.value.problems] == [f"{path}:{line}" for line in (2, 6, 7)]
    assert len(load(s4, "train", on_error="skip")) == 1
    assert not load(s4, "val").skipped


@pytest.mark.parametrize("seconds", [0.3, 3.9, 6.1, 60.0])
def test_sound_of_another_length_is_a_problem(s4, seconds: float) -> None:
    path = s4 / "s4_data/audio_wav/val/race_car/ghi_1.wav"
    soundfile.write(path, np.zeros(round(seconds * 16000)), 16000)

    told = broken(s4)["ghi_1"]

    assert told.startswith(f"{path}: {seconds:.1f} s of sound for 5 s of frames; cut it anew, remove this line, or ")
    assert told.endswith("set missing_audio: silence to fill it up" if seconds < 5 else "raise task.dataset.tolerance")
    assert len(load(s4, **({"missing_audio": "silence"} if seconds < 5 else {"tolerance": 55.0}))) == 1


@pytest.mark.parametrize("seconds", [4.1, 5.0, 5.9])
def test_sound_about_as_long_as_the_frames_is_spread_as_it_is(s4, seconds: float) -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16000)).astype(np.float32)
    soundfile.write(s4 / "s4_data/audio_wav/val/race_car/ghi_1.wav", wave, 16000, subtype="FLOAT")

    for settings in ({}, {"missing_audio": "silence"}):
        waveform, rate = load(s4, **settings).sound(0)
        assert rate == 16000
        np.testing.assert_array_equal(waveform, wave)


@pytest.mark.parametrize("seconds", [None, 2.0])
def test_missing_sound_may_be_silence(s4, seconds: float | None) -> None:
    path = s4 / "s4_data/audio_wav/val/race_car/ghi_1.wav"
    wave = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    path.unlink() if seconds is None else soundfile.write(path, wave, 16000, subtype="FLOAT")

    with pytest.raises(ProblemsError, match=r"ghi_1\.wav"):
        load(s4)
    dataset = load(s4, missing_audio="silence")
    waveform, rate = dataset.sound(0)

    assert len(waveform) == 5 * rate
    np.testing.assert_array_equal(waveform[:32000], np.zeros(32000) if seconds is None else wave)
    assert not waveform[32000:].any()
    dataset.bind(ImageSpec(height=8, width=8), SpectrogramSpec(frames=98, mel_bins=16))
    expected = audio_segments(waveform, rate, RECIPE, SpectrogramSpec(frames=98, mel_bins=16), 5)
    np.testing.assert_array_equal(dataset[0]["audio"], expected)


def test_damaged_sound_is_no_missing_one(s4) -> None:
    (s4 / "s4_data/audio_wav/val/race_car/ghi_1.wav").write_bytes(b"RIFF")

    with pytest.raises(ProblemsError, match=r"ghi_1\.wav"):
        load(s4, missing_audio="silence")


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan")])
def test_impossible_tolerance(s4, tolerance: float) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.tolerance is"):
        load(s4, tolerance=tolerance)
