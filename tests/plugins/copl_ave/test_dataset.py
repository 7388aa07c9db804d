import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from ave_parts import FakeClip
from copl_ave.dataset import AVE
from copl_core.api import ConfigError, DataError
from copl_core.contracts import ImageSpec, SpectrogramSpec, WaveformSpec
from copl_core.data import AudioRecipe, audio_segments, collate, log_mel, read_wav, to_input

RECIPE = AudioRecipe(seconds=1.0, mean=-5.0, std=3.7, downmix="channel0")
IMAGE, AUDIO = ImageSpec(height=8, width=8), SpectrogramSpec(frames=32, mel_bins=16)
#: 100 samples a segment: what it holds is what it was cut from.
WAVE = WaveformSpec(sample_rate=16000, samples=100)


def load(root, split: str = "train", audio=AUDIO, **settings) -> AVE:
    dataset = AVE(root=str(root), split=split, audio=RECIPE, **settings)
    dataset.bind(IMAGE, audio)
    return dataset


def test_sample(lists, media) -> None:
    media()
    dataset = load(lists)

    sample = dataset[1]

    assert len(dataset) == 3
    assert (sample["name"], sample["category"]) == ("bbb", "Male speech, man speaking")
    assert dataset.names == {"classes": ("Church bell", "Male speech, man speaking", "Bark", "background")}
    clip = FakeClip("bbb", 10)
    assert torch.equal(sample["visual"], to_input(clip.frames(10), IMAGE))
    assert torch.equal(sample["audio"], audio_segments(*clip.sound(), RECIPE, AUDIO, 10))
    assert sample["label"].dtype == torch.int64
    assert sample["label"].tolist() == [3, 3, 1, 1, 1, 3, 3, 3, 3, 3]


def test_samples_make_a_batch(lists, media) -> None:
    media()
    dataset = load(lists)

    batch = collate([dataset[0], dataset[2]])

    assert batch["label"].tolist() == [[0] * 10, [3] * 10]


def test_pictures_are_the_frames_of_the_clip(lists, media) -> None:
    media()

    pictures = load(lists).pictures(2)

    assert [picture.getpixel((0, 0)) for picture in pictures] == [(20 * n, 0, 3) for n in range(10)]


def test_media_are_looked_for_beside_the_lists_or_where_the_config_says(lists, media, tmp_path) -> None:
    made = media()
    load(lists.parent)
    load(lists, media=str(tmp_path / "cache"), layout="cache", videos=["v"], fps=8.0, missing_audio="silence")

    assert made[0].settings == {
        "root": lists,
        "layout": "auto",
        "videos": ("AVE", "videos"),
        "fps": 3.0,
        "sampling": "official",
        "downmix": "channel0",
        "missing_audio": "refuse",
    }
    assert made[1].settings == {
        "root": str(tmp_path / "cache"),
        "layout": "cache",
        "videos": ["v"],
        "fps": 8.0,
        "sampling": "official",
        "downmix": "channel0",
        "missing_audio": "silence",
    }


def test_what_was_found_is_told(lists, media) -> None:
    media()

    assert load(lists).describe() == f"lists in {lists}; videos from nowhere"


def test_all_problems_are_told_together(lists, media) -> None:
    media(problems={"-aaa": "AVE/-aaa.mp4 is empty; download it again", "c_c": "no video"})
    (lists / "trainSet.txt").write_text((lists / "trainSet.txt").read_text() + "Bark&ddd&good&9&3\n")

    with pytest.raises(DataError) as caught:
        load(lists)

    lines = str(caught.value).splitlines()
    assert lines[0] == "split 'train' of AVE: 3 problems:"
    assert [line.split(maxsplit=1) for line in lines[1:]] == [
        [f"{lists}/trainSet.txt:1", "AVE/-aaa.mp4 is empty; download it again"],
        [f"{lists}/trainSet.txt:3", "no video"],
        [f"{lists}/trainSet.txt:4", "the event ends at 3, before its start at 9"],
    ]


def test_clips_with_problems_are_skipped_on_demand_and_counted(lists, media, caplog) -> None:
    media(problems={"-aaa": "empty"})
    (lists / "trainSet.txt").write_text((lists / "trainSet.txt").read_text() + "Bark&ddd&good&9&3\n")

    dataset = load(lists, on_error="skip")

    assert [dataset[i]["name"] for i in range(len(dataset))] == ["bbb", "c_c"]
    assert [problem.where[-1] for problem in dataset.skipped] == ["1", "4"]
    told = "split 'train' of AVE: 2 problems; samples skipped: 2, left: 2;"
    assert any(text.startswith(told) for text in caplog.messages)


def test_nothing_left_is_refused_even_then(lists, media) -> None:
    media(problems={"ddd": "empty"})

    with pytest.raises(DataError, match="split 'val' of AVE: 1 problem:"):
        load(lists, "val", on_error="skip")


def test_a_video_with_two_rows_is_checked_once(lists, media) -> None:
    made = media()
    for name in ("Annotations", "trainSet"):
        (lists / f"{name}.txt").write_text("a&v&good&0&5\nb&v&good&0&5\n")

    dataset = load(lists)

    assert made[0].asked == ["v"]
    assert len(dataset) == 2


def test_problems_are_in_the_order_of_files_and_lines(lists, media) -> None:
    names = [f"v{number}" for number in range(12)]
    rows = "".join(f"Bark&{name}&good&0&5\n" for name in names)
    (lists / "trainSet.txt").write_text(rows)
    (lists / "Annotations.txt").write_text(rows.replace("v7&good&0&5", "v7&good&5&0"))
    media(problems={name: "gone" for name in names if name not in ("v5", "v7")})

    skipped = load(lists, on_error="skip").skipped

    assert [problem.where for problem in skipped] == [
        f"{lists}/Annotations.txt:8",
        *(f"{lists}/trainSet.txt:{line}" for line in [1, 2, 3, 4, 5, *range(7, 13)]),
    ]
    # The row of Annotations.txt is no sample; the one of the list that fails with it is.
    assert sum(problem.samples for problem in skipped) == 11


def test_a_clip_tells_where_it_is_listed(lists, media) -> None:
    media()

    assert load(lists).where(2) == f"{lists}/trainSet.txt:3 (c_c)"


def test_official_sampling_spreads_segments_from_start_to_end(lists, media) -> None:
    media(seconds={"ddd": 20.0})
    dataset = load(lists, "val", SpectrogramSpec(frames=2, mel_bins=16), tolerance=10)
    dataset.media.clip = lambda name: Noise()

    audio = dataset[0]["audio"]

    # int(linspace(0, 20 s - 1.1 s, 10)): segment n begins 2.1 s after the one before it.
    noise, rate = Noise().sound()
    noise = noise - noise.mean()
    for n, segment in enumerate(audio):
        begin = round(2.1 * n * rate)
        torch.testing.assert_close(segment, log_mel(noise[begin : begin + rate], RECIPE, dataset.specs[1]))


class Noise(FakeClip):
    """A clip with 20 s of noise."""

    def __init__(self) -> None:
        super().__init__("noise", 20.0)

    def sound(self) -> tuple[torch.Tensor, int]:
        return torch.randn(320000, generator=torch.Generator().manual_seed(0)), self.rate


@pytest.mark.parametrize("length", [10.0, 20.1, 60.0])
@pytest.mark.parametrize("settings", [{"sampling": "seconds"}, {"sampling": "official", "tolerance": 10}])
def test_waveform_encoders_and_sampling_by_seconds_take_the_sound_of_each(lists, media, length, settings) -> None:
    media(seconds={"ddd": length if settings["sampling"] == "seconds" else min(length, 20.0)})

    audio = load(lists, "val", WaveformSpec(16000, 16000), **settings)[0]["audio"]

    assert audio.shape == (10, 16000)
    assert torch.equal((audio * 10).round(), torch.arange(10.0)[:, None].expand(-1, 16000))


def test_sampling_by_seconds_takes_the_spectrogram_of_each(lists, media) -> None:
    media()
    dataset = load(lists, "val", sampling="seconds")
    dataset.media.clip = lambda name: Noise()

    audio = dataset[0]["audio"]

    noise, rate = Noise().sound()
    noise = noise - noise.mean()
    for n, segment in enumerate(audio):
        torch.testing.assert_close(segment, log_mel(noise[n * rate : (n + 1) * rate], RECIPE, AUDIO))


@pytest.mark.parametrize("sampling", ["official", "seconds"])
def test_sound_stored_second_by_second_is_read_so(lists, media, sampling: str) -> None:
    media(pieces=True)
    dataset = load(lists, "val", sampling=sampling)

    official = audio_segments(*FakeClip("ddd", 10).sound(), RECIPE, AUDIO, 10)
    assert not torch.equal(dataset[0]["audio"], official)
    assert torch.equal(dataset[0]["audio"], load(lists, "val", sampling="seconds")[0]["audio"])
    longer = AudioRecipe(seconds=1.95, mean=0.0, std=0.5)
    with pytest.raises(ConfigError, match=r"audio\.seconds is 1\.95, but .* holds sound second by second: set it to 1"):
        AVE(root=str(lists), split="val", audio=longer)


@pytest.mark.parametrize("sampling", ["official", "seconds"])
def test_sound_that_ends_early_is_followed_by_silence_and_told_once(lists, media, caplog, sampling: str) -> None:
    media(seconds={"ddd": 4.0}, pictures={"ddd": 10.0})
    dataset = load(lists, "val", WAVE, sampling=sampling, missing_audio="silence")
    dataset.recipe = AudioRecipe(seconds=1.0, mean=0.0, std=0.5)

    audio = dataset[0]["audio"]
    assert torch.equal(dataset[0]["audio"], audio)

    assert not bool(audio[4:].any())
    assert bool(audio[1:4].all())
    assert caplog.messages == ["AVE: sound of ddd ends after 4.00 s; silence fills the 10 s"]


def test_sound_a_few_hundredths_short_passes_without_a_word(lists, media, caplog) -> None:
    media(seconds={"ddd": 9.95})

    load(lists, "val", WAVE)[0]

    assert not caplog.messages


@pytest.mark.parametrize("sampling", ["official", "seconds"])
@pytest.mark.parametrize("pictures", [0.3, 1.2, 8.9])
def test_a_video_shorter_than_its_labels_is_a_problem(lists, media, sampling: str, pictures: float) -> None:
    media(pictures={"ddd": pictures})

    with pytest.raises(DataError, match=rf"valSet.txt:1  {pictures} s of pictures, but the labels are of 10: .*tolera"):
        load(lists, "val", sampling=sampling)
    assert len(load(lists, "val", sampling=sampling, tolerance=10)) == 1


def test_a_video_longer_than_its_labels_is_a_problem_of_official_sampling(lists, media) -> None:
    media(pictures={"ddd": 60.0})

    with pytest.raises(DataError, match=r"60\.0 s of pictures, but the labels are of 10: .* sampling: seconds"):
        load(lists, "val")
    assert len(load(lists, "val", sampling="seconds")) == 1


@pytest.mark.parametrize("extracted", [False, True])
@pytest.mark.parametrize("seconds", [0.32, 8.9, 11.1, 60.0])
def test_sound_of_another_length_is_a_problem(lists, media, extracted: bool, seconds: float) -> None:
    media(seconds={"ddd": seconds}, pictures={"ddd": 10.0}, extracted=extracted)

    with pytest.raises(DataError, match=r"s of sound, but the labels are of 10: cut it anew, leave it out, or set"):
        load(lists, "val")
    way_out = {"missing_audio": "silence"} if seconds < 10 else {"sampling": "seconds"}
    assert len(load(lists, "val", **way_out)) == 1


def test_frames_extracted_at_any_rate_will_do(lists, media) -> None:
    media(pictures={"ddd": 2.0}, seconds={"ddd": 10.0}, extracted=True)

    assert len(load(lists, "val")) == 1
    with pytest.raises(DataError, match=r"2\.0 s of pictures"):
        load(lists, "val", sampling="seconds")


def test_video_about_as_long_as_its_labels_passes(lists, media) -> None:
    media(seconds={"ddd": 10.2})

    assert len(load(lists, "val")) == 1


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan")])
def test_impossible_tolerance(lists, media, tolerance: float) -> None:
    media()

    with pytest.raises(ConfigError, match=r"dataset\.tolerance is"):
        load(lists, "val", tolerance=tolerance)


@pytest.fixture
def lavish(lists):
    """The validation and test clips as LAVISH lays them out: frames at 3 a second, sound."""
    rng = np.random.default_rng(0)
    for name in ("ddd", "eee", "-aaa"):
        (lists / "video_frames" / name).mkdir(parents=True)
        for n in range(1, 31):
            Image.new("RGB", (12, 8), (8 * n, 0, 0)).save(lists / "video_frames" / name / f"{n:04d}.jpg", quality=100)
        (lists / "raw_audio").mkdir(exist_ok=True)
        soundfile.write(lists / "raw_audio" / f"{name}.wav", rng.normal(0, 0.1, 160000), 16000)
    return lists


def test_files_in_the_layout_of_lavish(lavish) -> None:
    dataset = load(lavish, "test")

    sample = dataset[1]

    assert sample["name"] == "-aaa"
    # int(linspace(1, 30, 10)), as in the table of LAVISH's frames.
    reds = [picture.getpixel((5, 5))[0] / 8 for picture in dataset.pictures(1)]
    assert reds == pytest.approx([1, 4, 7, 10, 13, 17, 20, 23, 26, 30], abs=0.5)
    assert torch.equal(sample["visual"], to_input(dataset.pictures(1), IMAGE))
    waveform, rate = read_wav(lavish / "raw_audio" / "-aaa.wav")
    assert torch.equal(sample["audio"], audio_segments(waveform, rate, RECIPE, AUDIO, 10))


def test_missing_files_are_told_with_the_lines_that_want_them(lavish) -> None:
    (lavish / "raw_audio" / "eee.wav").unlink()
    (lavish / "raw_audio" / "-aaa.wav").write_bytes(b"")

    with pytest.raises(DataError) as caught:
        load(lavish, "test")

    lines = str(caught.value).splitlines()
    assert lines[0] == "split 'test' of AVE: 2 problems:"
    assert f"{lavish}/testSet.txt:1" in lines[1]
    assert str(lavish / "raw_audio" / "eee.wav") in lines[1]
    assert f"{lavish}/testSet.txt:2" in lines[2]
    assert str(lavish / "raw_audio" / "-aaa.wav") in lines[2]
    assert len(load(lavish, "val")) == 1


@pytest.mark.parametrize("seconds", [0.3, 60.0])
def test_extracted_sound_of_another_length_is_told(lavish, seconds: float) -> None:
    path = lavish / "raw_audio" / "eee.wav"
    soundfile.write(path, np.zeros(round(seconds * 16000)), 16000)

    with pytest.raises(DataError, match=rf"testSet\.txt:1  .*eee: {seconds:.1f} s of sound, but the labels are of 10"):
        load(lavish, "test")


def test_videos_may_be_elsewhere(lavish, tmp_path) -> None:
    other = tmp_path / "media"
    other.mkdir()
    for part in ("video_frames", "raw_audio"):
        (lavish / part).rename(other / part)

    with pytest.raises(DataError, match=r"the lists are in .*AVE_Dataset; if .* set task\.dataset\.media"):
        load(lavish, "test")
    assert len(load(lavish, "test", media=str(other))) == 2


def test_reading_before_bind_is_a_defect(lists, media) -> None:
    media()
    with pytest.raises(RuntimeError, match="bind"):
        AVE(root=str(lists), split="val", audio=RECIPE)[0]
