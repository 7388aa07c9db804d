import math
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image, ImageDraw, ImageFilter

from copl_core.api import ConfigError, DataError
from copl_core.data import CacheSettings, Clip, Durations, MediaFolder, create_cache, video, write_cached_clip
from video_files import number_of, numbered, tone, write_video

NAME = "-kTl0Vo3x7I"
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


def pictures(folder: Path, count: int, pattern: str = "{:04d}.png") -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.fromarray(numbered(number)).save(folder / pattern.format(number))


def wav(path: Path, seconds: float = 3.0, rate: int = 16000) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(rate, seconds)[0]
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return samples


def lavish(root: Path, count: int = 30) -> Path:
    pictures(root / "video_frames" / NAME, count)
    wav(root / "raw_audio" / f"{NAME}.wav")
    return root


def read(clip: Clip) -> None:
    clip.frames(4)
    clip.sound()


def numbers(media: MediaFolder, count: int, name: str = NAME) -> list[int]:
    frames = media.clip(name).frames(count)
    assert all(frame.mode == "RGB" for frame in frames)
    return [number_of(frame) for frame in frames]


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
    def told(self, media: MediaFolder, name: str = NAME) -> str:
        """What ``problem`` tells; reading the clip has to fail with the same words."""
        told = media.problem(name)
        assert told is not None
        with pytest.raises(DataError) as caught:
            read(media.clip(name))
        assert str(caught.value).split(";")[0] == told.split(";")[0]
        return told

    def test_no_such_clip(self, tmp_path) -> None:
        raw(tmp_path, 1.0)
        media = MediaFolder(root=tmp_path)

        assert "no video of clip 'other' (mp4, mkv," in self.told(media, "other")

    def test_two_files_for_one_clip(self, tmp_path) -> None:
        raw(tmp_path, 1.0)
        raw(tmp_path, 1.0, name=f"videos/{NAME}.mkv")

        assert "has several videos" in self.told(MediaFolder(root=tmp_path))

    @pytest.mark.parametrize(("damage", "reason"), [("empty", "the file is empty"), ("folder", "it is a folder")])
    def test_bad_raw_file(self, tmp_path, damage: str, reason: str) -> None:
        raw(tmp_path, 1.0, name="videos/good.mp4")
        path = tmp_path / "videos" / f"{NAME}.mp4"
        path.touch() if damage == "empty" else path.mkdir()

        told = self.told(MediaFolder(root=tmp_path))
        assert str(path) in told
        assert reason in told

    def test_raw_file_without_sound(self, tmp_path) -> None:
        raw(tmp_path, 2.0, sound=False)

        assert "no audio track; use a version with sound" in self.told(MediaFolder(root=tmp_path))
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

        assert "holds no pictures" in self.told(media, "empty")
        assert "is no folder" in self.told(media, "file")
        assert "is no folder" in self.told(media, "missing")

    def test_pictures_of_two_kinds_would_shift_the_sampling(self, tmp_path) -> None:
        root = lavish(tmp_path, 2)
        Image.new("RGB", (4, 4)).save(root / "video_frames" / NAME / "poster.jpg")

        assert "holds pictures of several kinds, .jpg and .png" in self.told(MediaFolder(root=root))

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

        assert f"no sound of clip '{NAME}': looked for" in self.told(MediaFolder(root=root))
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

        assert str(path) in self.told(MediaFolder(root=root, missing_audio="silence"))

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

        assert f"cannot read audio {path}" in self.told(MediaFolder(root=tmp_path))


class TestCache:
    @pytest.fixture
    def cache(self, tmp_path) -> Path:
        create_cache(tmp_path, CacheSettings(frames=4, fps=3.0, size=32))
        frames = [Image.fromarray(numbered(number)) for number in (3, 1, 2, 900)]
        write_cached_clip(tmp_path, NAME, frames, torch.from_numpy(tone(22050, 2.0)[0]), 22050)
        return tmp_path

    def test_clip_comes_back(self, cache) -> None:
        media = MediaFolder(root=cache, fps=3.0)

        waveform, rate = media.clip(NAME).sound()

        assert media.layout == "cache"
        assert "4 frames to a clip" in media.describe()
        assert numbers(media, 4) == [3, 1, 2, 900]
        assert media.clip(NAME).frames(4)[0].size == (32, 32)
        assert rate == 22050
        np.testing.assert_allclose(waveform.numpy(), tone(22050, 2.0)[0], atol=2**-15)
        assert media.clip(NAME).seconds() == pytest.approx(2.0)
        assert media.problem(NAME) is None

    def test_durations_of_pictures_and_sound_are_kept(self, cache) -> None:
        frames = [Image.new("RGB", (4, 4))] * 4
        write_cached_clip(cache, NAME, frames, torch.zeros(22050 * 3), 22050, seconds=10.0)
        found = []

        MediaFolder(root=cache, fps=3.0).problem(NAME, found.append)

        assert found == [Durations(10.0, 3.0)]

    def test_sound_in_pieces_stays_so(self, tmp_path) -> None:
        create_cache(tmp_path, CacheSettings(frames=4, pieces=True))

        assert MediaFolder(root=tmp_path).pieces
        assert not MediaFolder(root=lavish(tmp_path / "other")).pieces

    def test_more_than_a_hundred_frames_stay_in_order(self, tmp_path) -> None:
        create_cache(tmp_path, CacheSettings(frames=120))
        write_cached_clip(tmp_path, NAME, [Image.fromarray(numbered(n)) for n in range(120)], None, 16000, seconds=1.0)

        assert numbers(MediaFolder(root=tmp_path), 120) == list(range(120))

    def test_another_count_is_refused(self, cache) -> None:
        with pytest.raises(DataError, match=r"holds 4 frames, 10 are wanted: prepare the cache again with 10"):
            MediaFolder(root=cache, fps=3.0).clip(NAME).frames(10)
        with pytest.raises(DataError, match=r"has 1 frames, cache .* holds 4 to a clip"):
            write_cached_clip(cache, NAME, [Image.new("RGB", (4, 4))], None, 16000)

    @pytest.mark.parametrize(("setting", "value"), [("fps", 1.0), ("sampling", "seconds"), ("downmix", "channel0")])
    def test_cache_made_with_other_settings_is_refused(self, cache, setting: str, value: object) -> None:
        with pytest.raises(DataError, match=rf"was prepared with {setting} .*, the config says {value}"):
            MediaFolder(root=cache, **{"fps": 3.0, setting: value})

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"format": 2', '"format": 9', "is of format 9, this version of copl reads 2"),
            ('"format": 2', '"format": 1', "is of format 1, this version of copl reads 2"),
            ('"fps"', '"rate"', "doesn't hold the settings of a cache"),
            ("{", "[", "it is damaged"),
        ],
    )
    def test_other_formats_are_refused(self, cache, old: str, new: str, message: str) -> None:
        path = cache / "cache.json"
        path.write_text(path.read_text().replace(old, new))

        with pytest.raises(DataError, match=message):
            MediaFolder(root=cache, fps=3.0)

    def test_writing_goes_on_with_the_same_settings_only(self, cache) -> None:
        create_cache(cache, CacheSettings(frames=4, fps=3.0, size=32))
        with pytest.raises(DataError, match=r"was prepared with size 32 \(now 256\)"):
            create_cache(cache, CacheSettings(frames=4, fps=3.0))

    def test_clip_without_sound(self, cache) -> None:
        write_cached_clip(cache, "mute", [Image.new("RGB", (4, 4))] * 4, None, 16000, seconds=1.5)

        assert "mute.zip has no sound" in TestProblems().told(MediaFolder(root=cache, fps=3.0), "mute")
        media = MediaFolder(root=cache, fps=3.0, missing_audio="silence")
        waveform, rate = media.clip("mute").sound()
        assert media.problem("mute") is None
        assert len(waveform) == 1.5 * rate

    @pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text"])
    def test_bad_file_is_named(self, cache, damage: str) -> None:
        path = cache / "clips" / f"{NAME}.zip"
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": content[:-100], "text": b"<html>"}.get(damage, content))
        if damage == "missing":
            path.unlink()

        told = TestProblems().told(MediaFolder(root=cache, fps=3.0))
        assert f"cannot read cached clip {path}" in told
        assert "write it again" in told

    @pytest.mark.parametrize(("rate", "kept"), [(8000, 8000), (32000, 32000), (44100, 32000), (96000, 32000)])
    def test_sound_is_kept_at_32_khz_at_most(self, cache, rate: int, kept: int) -> None:
        frames = [Image.new("RGB", (4, 4))] * 4
        write_cached_clip(cache, NAME, frames, torch.from_numpy(tone(rate, 2.0)[0]), rate)

        waveform, found = MediaFolder(root=cache, fps=3.0).clip(NAME).sound()

        assert found == kept
        assert len(waveform) == 2 * kept
        middle = slice(kept // 10, -kept // 10)  # the resampling filter sees silence beyond the ends
        np.testing.assert_allclose(waveform.numpy()[middle], tone(kept, 2.0)[0][middle], atol=1e-3)
        assert MediaFolder(root=cache, fps=3.0).clip(NAME).seconds() == pytest.approx(2.0)

    def test_every_damage_is_noticed_by_the_checksums(self, cache) -> None:
        from copl_core.data.cache import cached_clip

        clip = cached_clip(cache, NAME)
        clip.verify()
        content = clip.path.read_bytes()
        with zipfile.ZipFile(clip.path) as archive:
            starts = [info.header_offset + 30 + len(info.filename) for info in archive.infolist()]
        for start in starts:
            damaged = bytearray(content)
            damaged[start + 1] ^= 0xFF
            clip.path.write_bytes(damaged)
            with pytest.raises(DataError, match="damaged"):
                clip.verify()

    def test_file_is_replaced_whole_or_not_at_all(self, cache, monkeypatch) -> None:
        path = cache / "clips" / f"{NAME}.zip"
        before = path.read_bytes()

        def fail(*_: object) -> None:
            raise OSError("disk is full")

        monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
        with pytest.raises(OSError, match="disk is full"):
            write_cached_clip(cache, NAME, [Image.new("RGB", (4, 4))] * 4, None, 16000)

        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_same_clip_gives_the_same_bytes(self, cache) -> None:
        frames = [Image.fromarray(numbered(number)) for number in range(4)]

        one = write_cached_clip(cache, "a", frames, torch.zeros(100), 16000).read_bytes()

        assert write_cached_clip(cache, "a", frames, torch.zeros(100), 16000).read_bytes() == one

    def test_pictures_are_shrunk_but_never_grown(self, tmp_path) -> None:
        create_cache(tmp_path, CacheSettings(frames=3, size=100))
        sizes = [(640, 360), (320, 60), (30, 20)]
        write_cached_clip(tmp_path, NAME, [Image.new("RGB", size) for size in sizes], None, 16000, seconds=1.0)

        frames = MediaFolder(root=tmp_path).clip(NAME).frames(3)

        assert [frame.size for frame in frames] == [(100, 100), (100, 60), (30, 20)]

    @pytest.mark.parametrize("setting", [{"frames": 0}, {"size": 8}, {"quality": 96}, {"sample_rate": 441}])
    def test_impossible_settings(self, setting: dict) -> None:
        with pytest.raises(ConfigError, match=f"{next(iter(setting))} is"):
            CacheSettings(**{"frames": 4, **setting})

    def test_ave_fits_in_3_gb(self, tmp_path) -> None:
        """4,097 clips, each as large as one of cluttered pictures (640x360, H.264) and noise (44.1 kHz stereo, AAC)."""
        rng = np.random.default_rng(0)
        sound = np.stack([pink_noise(rng, 441000, 0.02)] * 2)
        pictures = [np.asarray(dead_leaves(rng)) for _ in range(10)]
        write_video(tmp_path / "raw/a.mp4", range(10), pictures=pictures, sound=sound, rate=44100)
        clip = MediaFolder(root=tmp_path / "raw").clip("a")
        create_cache(tmp_path / "cache", CacheSettings(frames=10))

        size = write_cached_clip(tmp_path / "cache", "a", clip.frames(10), *clip.sound()).stat().st_size

        assert size > 300e3
        assert 4097 * size < 3e9


def dead_leaves(rng: np.random.Generator) -> Image.Image:
    """Discs hiding each other, their radii falling as 1/r^3: natural pictures in edges, spectrum and contrast."""
    image = Image.new("RGB", (640, 360))
    draw = ImageDraw.Draw(image)
    for radius in (6**-2 - rng.uniform(size=3000) * (6**-2 - 200**-2)) ** -0.5:
        x, y = rng.uniform(-radius, 640 + radius), rng.uniform(-radius, 360 + radius)
        colour = np.clip(rng.uniform(20, 235) + rng.normal(0, 25, 3), 0, 255).astype(int)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colour.tolist()))
    lens = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)))
    return Image.fromarray((lens + rng.normal(0, 3, (360, 640, 1))).clip(0, 255).astype(np.uint8))


def pink_noise(rng: np.random.Generator, samples: int, level: float) -> np.ndarray:
    """Power falling as 1/f, as in most music and speech; far less regular than they are, so harder to pack."""
    spectrum = np.fft.rfft(rng.standard_normal(samples)) / np.sqrt(np.maximum(np.arange(samples // 2 + 1), 20))
    noise = np.fft.irfft(spectrum)
    return (level * noise / noise.std()).astype(np.float32)
