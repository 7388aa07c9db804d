import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from copl_core.api import ConfigError, DataError
from copl_core.data import CacheSettings, MediaFolder, create_cache, video, write_cached_clip
from media_parts import NAME, lavish, numbers, pictures, problem_told, wav
from video_files import number_of, numbered, tone, write_video

DENSE = {"g": "25", "bf": "2"}


def official(available: int, count: int) -> list[int]:
    """The field's rule written out: numbers from 1, evenly from the first to the last, cut to whole ones."""
    if count == 1:
        return [1]
    return [int(1 + (available - 1) * k / (count - 1) + 1e-9) for k in range(count)]


def raw(root: Path, seconds: float = 10.0, rate: int = 10, name: str = f"videos/{NAME}.mp4", sound=True) -> Path:
    times = [index / rate for index in range(round(seconds * rate))]
    samples = tone(16000, seconds) if sound else None
    return write_video(root / name, times, options=DENSE, clock=rate, sound=samples)


class TestSampling:
    @pytest.mark.parametrize(("seconds", "fps"), [(10.0, 1.0), (10.0, 3.0), (6.3, 1.0), (0.3, 1.0), (60.0, 1.0)])
    def test_official_rule_on_raw_files_is_that_of_extracted_ones(self, tmp_path, seconds: float, fps: float) -> None:
        raw(tmp_path, seconds)

        got = numbers(MediaFolder(root=tmp_path, fps=fps), 10)

        available = max(1, math.floor(seconds * fps + 0.5))
        assert got == [math.floor((number - 1) / fps * 10 + 1e-6) for number in official(available, 10)]

    def test_official_rule_on_extracted_frames(self, tmp_path) -> None:
        media = MediaFolder(root=lavish(tmp_path, 30), fps=3.0)

        assert numbers(media, 10) == [1, 4, 7, 10, 13, 17, 20, 23, 26, 30]
        assert numbers(media, 1) == [1]
        assert numbers(media, 45) == official(30, 45)

    def test_middle_of_each_second_on_raw_files(self, tmp_path) -> None:
        raw(tmp_path, 3.0)

        assert numbers(MediaFolder(root=tmp_path, sampling="seconds"), 5) == [5, 15, 25, 29, 29]

    def test_middle_of_each_second_on_extracted_frames(self, tmp_path) -> None:
        media = MediaFolder(root=lavish(tmp_path, 10), sampling="seconds", fps=3.0)

        assert numbers(media, 5) == [1 + 1, 1 + 4, 1 + 7, 10, 10]

    @pytest.mark.parametrize(("count", "fps"), [(30, 3.0), (60, 6.0), (27, 3.0)])
    def test_seconds_of_extracted_frames_need_their_rate(self, tmp_path, count: int, fps: float) -> None:
        root = lavish(tmp_path, count)
        wav(root / "raw_audio" / f"{NAME}.wav", 10.0)

        assert MediaFolder(root=root, sampling="seconds", fps=fps).problem(NAME) is None
        told = MediaFolder(root=root, sampling="seconds", fps=2 * fps).problem(NAME)
        assert f"{count} pictures at fps {2 * fps:g} are {count / 2 / fps:.1f} s, the sound 10.0 s: set fps" in told
        assert MediaFolder(root=root, fps=2 * fps).problem(NAME) is None

    def test_times_are_those_at_which_the_frames_are_seen(self, tmp_path) -> None:
        raw(tmp_path / "raw", 10.0)
        clip = MediaFolder(root=tmp_path / "raw").clip(NAME)
        assert clip.times(10) == list(range(10))
        assert clip.times(4) == [0, 3, 6, 9]

        root = lavish(tmp_path / "extracted", 40)  # at whatever rate
        wav(root / "raw_audio" / f"{NAME}.wav", 10.0)
        extracted = MediaFolder(root=root).clip(NAME)
        assert extracted.times(5) == pytest.approx([(number - 1) / 4 for number in official(40, 5)])

        create_cache(tmp_path / "cache", CacheSettings(frames=5))
        write_cached_clip(tmp_path / "cache", NAME, extracted.frames(5), *extracted.sound(), times=extracted.times(5))
        write_cached_clip(tmp_path / "cache", "other", extracted.frames(5), *extracted.sound())
        cache = MediaFolder(root=tmp_path / "cache")
        assert cache.clip(NAME).times(5) == extracted.times(5)
        assert cache.clip("other").times(5) == [number - 1 for number in official(10, 5)]

    @pytest.mark.parametrize("layout", ["videos", "lavish", "cache"])
    @pytest.mark.parametrize("sampling", ["official", "seconds"])
    def test_some_of_the_frames_are_those_of_all(self, tmp_path, layout: str, sampling: str) -> None:
        if layout == "videos":
            raw(tmp_path, 10.0)
        elif layout == "lavish":
            lavish(tmp_path, 10)
        else:
            create_cache(tmp_path, CacheSettings(frames=10, sampling=sampling))
            write_cached_clip(tmp_path, NAME, [Image.fromarray(numbered(n)) for n in range(10)], None, 16000)
        clip = MediaFolder(root=tmp_path, sampling=sampling).clip(NAME)
        every = [number_of(frame) for frame in clip.frames(10)]

        assert len(set(every)) == 10
        assert [number_of(frame) for frame in clip.frames(10, only=[7, 2, 2])] == [every[7], every[2], every[2]]
        assert clip.frames(10, only=[]) == []

    def test_one_frame_of_a_minute_costs_one_group_of_pictures(self, tmp_path, monkeypatch) -> None:
        raw(tmp_path, 60.0)
        decode, decoded = video.decode, []
        monkeypatch.setattr(video, "decode", lambda *args, **kw: decoded.append(args[1].size) or decode(*args, **kw))

        (frame,) = MediaFolder(root=tmp_path).clip(NAME).frames(10, only=[6])

        assert number_of(frame) == (official(60, 10)[6] - 1) * 10
        assert 0 < sum(map(bool, decoded)) <= int(DENSE["g"]) + 8  # and the few that a decoder holds back

    def test_frames_are_in_the_order_of_their_numbers_and_strays_are_left_out(self, tmp_path) -> None:
        pictures(tmp_path / "video_frames" / NAME, 12, "{}.png")
        for stray in ("Thumbs.db", "._3.png", "notes.txt"):
            (tmp_path / "video_frames" / NAME / stray).write_bytes(b"stray")
        wav(tmp_path / "raw_audio" / f"{NAME}.wav")

        assert numbers(MediaFolder(root=tmp_path), 12) == list(range(1, 13))


class TestLayouts:
    def test_raw(self, tmp_path) -> None:
        raw(tmp_path, 2.0)
        media = MediaFolder(root=tmp_path)

        waveform, rate = media.clip(NAME).sound()

        assert media.layout == "videos"
        assert media.describe() == f"raw videos in {tmp_path / 'videos'}"
        assert rate == 16000
        assert len(waveform) / rate == pytest.approx(2.0, abs=0.1)
        assert media.clip(NAME).seconds() == pytest.approx(2.0)
        assert media.problem(NAME) is None

    def test_raw_files_in_the_root_or_elsewhere_with_endings_in_capitals(self, tmp_path) -> None:
        raw(tmp_path, 1.0, name="a.MP4")
        raw(tmp_path, 1.0, name="AVE/real/b.mkv")
        media = MediaFolder(root=tmp_path, videos=("AVE/real", "no_such_folder"))

        assert media.problem("a") is None
        assert media.problem("b") is None
        assert media.video("b") == tmp_path / "AVE/real/b.mkv"

    def test_clips_in_folders_of_their_own(self, tmp_path) -> None:
        raw(tmp_path, 1.0, name="videos/train/dog/x.mp4")
        (tmp_path / "videos" / "y.mp4").write_bytes(b"")

        assert numbers(MediaFolder(root=tmp_path), 1, "train/dog/x") == [0]

    def test_lavish(self, tmp_path) -> None:
        media = MediaFolder(root=lavish(tmp_path), fps=3.0)

        waveform, rate = media.clip(NAME).sound()

        assert media.layout == "lavish"
        assert rate == 16000
        np.testing.assert_allclose(waveform.numpy(), tone(16000, 3.0)[0], atol=1e-4)
        assert media.clip(NAME).seconds() == 10.0
        assert media.problem(NAME) is None

    @pytest.mark.parametrize("folder", ["wave", "audio_wave"])
    @pytest.mark.parametrize("form", ["float32", "float64", "int16", "seconds"])
    def test_dgsct(self, tmp_path, folder: str, form: str) -> None:
        pictures(tmp_path / "frames" / NAME, 10, "{:08d}.jpg")
        samples = tone(32000, 10.0)[0]
        stored = {
            "seconds": samples.reshape(10, 32000),
            "int16": np.round(samples * 32768).astype(np.int16),
        }.get(form, samples.astype(form if form.startswith("float") else "float32"))
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / f"{NAME}.npy", stored)
        media = MediaFolder(root=tmp_path)

        waveform, rate = media.clip(NAME).sound()

        assert media.layout == "dgsct"
        assert media.pieces
        assert rate == 32000
        assert waveform.dtype == torch.float32
        np.testing.assert_allclose(waveform.numpy(), samples, atol=1e-4)
        assert media.problem(NAME) is None

    def test_nothing_there_is_told_with_the_places(self, tmp_path) -> None:
        with pytest.raises(DataError) as caught:
            MediaFolder(root=tmp_path)

        for place in ("videos", "video_frames", "frames", "cache.json"):
            assert str(tmp_path / place) in str(caught.value)
        with pytest.raises(DataError, match=r"looked for:\n  cache .*cache\.json\nset root"):
            MediaFolder(root=tmp_path, layout="cache")
        with pytest.raises(DataError, match="does not exist"):
            MediaFolder(root=tmp_path / "no")

    def test_several_are_not_guessed_between(self, tmp_path) -> None:
        raw(lavish(tmp_path), 1.0)

        with pytest.raises(DataError, match="holds several layouts: videos, lavish; set layout"):
            MediaFolder(root=tmp_path)
        assert numbers(MediaFolder(root=tmp_path, layout="lavish"), 1) == [1]
        assert numbers(MediaFolder(root=tmp_path, layout="videos"), 1) == [0]

    def test_frames_without_any_sound(self, tmp_path) -> None:
        pictures(tmp_path / "video_frames" / NAME, 3)

        with pytest.raises(DataError, match=r"has frames, but there is no sound in .*raw_audio; .*missing_audio"):
            MediaFolder(root=tmp_path)
        waveform, rate = MediaFolder(root=tmp_path, missing_audio="silence").clip(NAME).sound()
        assert len(waveform) == 3 * rate
        assert not waveform.any()

    @pytest.mark.parametrize("setting", ["layout", "sampling", "downmix", "missing_audio"])
    def test_unknown_settings_are_refused(self, tmp_path, setting: str) -> None:
        with pytest.raises(ConfigError, match=rf"{setting} is 'x': must be one of"):
            MediaFolder(root=tmp_path, **{setting: "x"})

    @pytest.mark.parametrize("fps", [0, -1.0, math.nan, math.inf])
    def test_impossible_fps(self, tmp_path, fps: float) -> None:
        with pytest.raises(ConfigError, match="fps is"):
            MediaFolder(root=tmp_path, fps=fps)

    @pytest.mark.parametrize("name", ["", "../x", "/etc/x", "a/../../x", "a\\b", "a\0b"])
    def test_names_do_not_lead_out_of_the_folder(self, tmp_path, name: str) -> None:
        raw(tmp_path, 1.0)

        with pytest.raises(DataError, match="is no name of a clip"):
            MediaFolder(root=tmp_path).clip(name)

    def test_folder_travels_to_a_worker(self, tmp_path) -> None:
        raw(tmp_path, 1.0)

        assert numbers(pickle.loads(pickle.dumps(MediaFolder(root=tmp_path))), 1) == [0]


class TestProblems:
    def test_no_such_clip(self, tmp_path) -> None:
        raw(tmp_path, 1.0)
        media = MediaFolder(root=tmp_path)

        assert "no video of clip 'other' (mp4, mkv," in problem_told(media, "other")

    def test_two_files_for_one_clip(self, tmp_path) -> None:
        raw(tmp_path, 1.0)
        raw(tmp_path, 1.0, name=f"videos/{NAME}.mkv")

        assert "has several videos" in problem_told(MediaFolder(root=tmp_path))

    @pytest.mark.parametrize(("damage", "reason"), [("empty", "the file is empty"), ("folder", "it is a folder")])
    def test_bad_raw_file(self, tmp_path, damage: str, reason: str) -> None:
        raw(tmp_path, 1.0, name="videos/good.mp4")
        path = tmp_path / "videos" / f"{NAME}.mp4"
        path.touch() if damage == "empty" else path.mkdir()

        told = problem_told(MediaFolder(root=tmp_path))
        assert str(path) in told
        assert reason in told

    def test_raw_file_without_sound(self, tmp_path) -> None:
        raw(tmp_path, 2.0, sound=False)

        assert "no audio track; use a version with sound" in problem_told(MediaFolder(root=tmp_path))
        media = MediaFolder(root=tmp_path, missing_audio="silence")
        waveform, rate = media.clip(NAME).sound()
        assert media.problem(NAME) is None
        assert len(waveform) == 2 * rate
        assert not waveform.any()

    def test_short_clip(self, tmp_path) -> None:
        path = raw(tmp_path, 0.3)
        media = MediaFolder(root=tmp_path)

        assert media.problem(NAME) is None
        assert media.problem(NAME, lambda found: None) is None
        told = media.problem(NAME, lambda found: f"{found.pictures:.1f} s and {found.sound:.1f} s")
        assert told == f"{path}: 0.3 s and 0.3 s"

    def test_no_frames(self, tmp_path) -> None:
        root = lavish(tmp_path, 2)
        (root / "video_frames" / "empty").mkdir()
        (root / "video_frames" / "file").touch()
        media = MediaFolder(root=root)

        assert "holds no pictures" in problem_told(media, "empty")
        assert "is no folder" in problem_told(media, "file")
        assert "is no folder" in problem_told(media, "missing")

    def test_pictures_of_two_kinds_would_shift_the_sampling(self, tmp_path) -> None:
        root = lavish(tmp_path, 2)
        Image.new("RGB", (4, 4)).save(root / "video_frames" / NAME / "poster.jpg")

        assert "holds pictures of several kinds, .jpg and .png" in problem_told(MediaFolder(root=root))

    def test_empty_picture(self, tmp_path) -> None:
        root = lavish(tmp_path, 4)
        path = root / "video_frames" / NAME / "0003.png"
        path.write_bytes(b"")

        assert MediaFolder(root=root).problem(NAME) == (
            f"cannot read image {path}: the file is empty; extract the frames of this clip again"
        )

    def test_no_sound_file(self, tmp_path) -> None:
        root = lavish(tmp_path, 6)
        (root / "raw_audio" / f"{NAME}.wav").unlink()

        assert f"no sound of clip '{NAME}': looked for" in problem_told(MediaFolder(root=root))
        waveform, rate = MediaFolder(root=root, missing_audio="silence", fps=2.0).clip(NAME).sound()
        assert len(waveform) == 3 * rate

    @pytest.mark.parametrize("damage", ["empty", "cut", "no samples", "folder"])
    def test_bad_sound_file_is_no_missing_one(self, tmp_path, damage: str) -> None:
        root = lavish(tmp_path, 2)
        path = root / "raw_audio" / f"{NAME}.wav"
        content = path.read_bytes()
        if damage == "folder":
            path.unlink()
            path.mkdir()
        elif damage == "no samples":
            wav(path, 0.0)
        else:
            path.write_bytes(b"" if damage == "empty" else content[:-500])

        assert str(path) in problem_told(MediaFolder(root=root, missing_audio="silence"))

    @pytest.mark.parametrize(
        "array",
        [np.zeros(0, np.float32), np.zeros((2, 5), np.float32), np.zeros(40000, np.float32), np.array([{}]), "cut"],
    )
    def test_bad_array(self, tmp_path, array) -> None:
        pictures(tmp_path / "frames" / NAME, 2)
        (tmp_path / "wave").mkdir()
        path = tmp_path / "wave" / f"{NAME}.npy"
        if isinstance(array, str):
            np.save(path, np.zeros(32000, np.float32))
            path.write_bytes(path.read_bytes()[:-100])
        else:
            np.save(path, array, allow_pickle=True)

        assert f"cannot read audio {path}" in problem_told(MediaFolder(root=tmp_path))
