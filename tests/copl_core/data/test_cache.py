import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from copl_core.api import ConfigError, DataError
from copl_core.data import CacheSettings, Durations, MediaFolder, create_cache, write_cached_clip
from media_parts import NAME, lavish, numbers, problem_told
from video_files import numbered, tone, write_video


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

        assert "mute.zip has no sound" in problem_told(MediaFolder(root=cache, fps=3.0), "mute")
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

        told = problem_told(MediaFolder(root=cache, fps=3.0))
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
