import av
import numpy as np
import pytest
import torch
from PIL import Image

from copl_core.api import DataError
from copl_core.data import draw_sound, probe, read_frames, read_sound, redraw_video
from video_files import number_of, numbered, tone, write_video


def packets(path) -> list[tuple[float, bytes]]:
    """Time and bytes of each packet of sound."""
    with av.open(str(path)) as container:
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(audio=0) if p.size]


def mirrored(picture: Image.Image, time: float) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def test_every_picture_is_drawn_at_its_time_and_the_sound_keeps_its_bytes(tmp_path) -> None:
    times = [0.0, 0.2, 0.5, 0.6, 1.5, 1.6, 2.0, 2.4]
    source = write_video(tmp_path / "a.mp4", times, sound=tone(16000, 2.5))
    seen = []

    def draw(picture: Image.Image, time: float) -> Image.Image:
        seen.append((number_of(picture), round(time, 3)))
        return mirrored(picture, time)

    redraw_video(source, tmp_path / "b.mp4", draw)
    assert seen == list(enumerate(times))
    assert packets(tmp_path / "b.mp4") == packets(source)
    found = read_frames(tmp_path / "b.mp4", [time + 0.05 for time in times])
    assert found[0].size == (960, 384)  # 160 x 64 enlarged to the legible height
    assert [number_of(mirrored(picture, 0)) for picture in found] == list(range(len(times)))


def onset(path) -> float:
    """Second in which the sound first is louder than a tenth of its loudest."""
    waveform, rate = read_sound(path)
    return int((waveform.abs() > waveform.abs().max() / 10).nonzero()[0]) / rate


def test_sound_that_mp4_players_lack_becomes_aac(tmp_path) -> None:
    sound = tone(48000, 3, 2)
    sound[:, : 48000 * 5 // 4] = 0
    source = write_video(
        tmp_path / "a.webm", [i / 10 for i in range(30)], codec="libvpx", sound=sound, rate=48000, sound_codec="libopus"
    )
    redraw_video(source, tmp_path / "b.mp4", lambda picture, time: picture)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    info = probe(tmp_path / "b.mp4")
    assert (info.rate, info.channels) == (48000, 2)
    assert onset(tmp_path / "b.mp4") == pytest.approx(1.25, abs=0.03)
    before, after = read_sound(source, "channel0")[0], read_sound(tmp_path / "b.mp4", "channel0")[0]
    loud = slice(72000, 120000)
    assert after[loud].std() == pytest.approx(float(before[loud].std()), rel=0.05)
    assert torch.fft.rfft(after[loud]).abs().argmax() == 300  # Hz: a second has a bin for each


@pytest.mark.parametrize(("rate", "channels"), [(192000, 1), (11111, 2), (48000, 6), (8000, 1)])
def test_sound_of_rates_and_channels_that_aac_lacks(tmp_path, rate: int, channels: int) -> None:
    times = [i / 5 for i in range(15)]
    source = write_video(tmp_path / "a.mkv", times, sound=tone(rate, 3, channels), rate=rate, sound_codec="pcm_s16le")
    redraw_video(source, tmp_path / "b.mp4", mirrored)
    after, after_rate = read_sound(tmp_path / "b.mp4", "channel0")
    second = after[after_rate : 2 * after_rate]
    assert torch.fft.rfft(second).abs().argmax() == 300
    assert len(after) / after_rate == pytest.approx(3, abs=0.1)


def test_pictures_of_odd_size_and_no_sound(tmp_path) -> None:
    pictures = [np.pad(numbered(i), ((0, 1), (0, 1), (0, 0)), mode="edge") for i in range(5)]
    source = write_video(tmp_path / "a.mkv", [i / 5 for i in range(5)], pictures=pictures, codec="ffv1")
    redraw_video(source, tmp_path / "b.mp4", mirrored)
    assert probe(tmp_path / "b.mp4").rate is None
    picture = read_frames(tmp_path / "b.mp4", [0.9])[0]
    assert (picture.width % 2, picture.height % 2) == (0, 0)
    assert number_of(mirrored(picture, 0)) == 4


def test_a_place_that_cannot_be_written_is_named(tmp_path) -> None:
    source = write_video(tmp_path / "a.mp4", [0.0, 0.5], sound=tone(16000, 1))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"cannot write .*absent"):
        redraw_video(source, tmp_path / "absent" / "b.mp4", mirrored)
    with pytest.raises(DataError, match=r"text\.mp4: not a video"):
        redraw_video(tmp_path / "text.mp4", tmp_path / "b.mp4", mirrored)


@pytest.mark.parametrize("frequency", [200, 1000, 4000])
def test_a_tone_is_a_line_at_its_height_in_the_spectrogram(frequency: int) -> None:
    time = torch.arange(16000) / 16000
    picture = draw_sound(0.3 * torch.sin(2 * torch.pi * frequency * time), 16000, (100, 100))
    brightness = np.asarray(picture.convert("L"), dtype=float).mean(axis=1)

    def mel(hertz: float) -> float:
        return 1127 * np.log1p(hertz / 700)

    expected = 100 * (1 - (mel(frequency) - mel(20)) / (mel(8000) - mel(20)))
    assert brightness.argmax() == pytest.approx(expected, abs=2)


def test_silence_is_dark_and_short_sound_is_drawn() -> None:
    for waveform in (torch.zeros(16000), torch.zeros(10)):
        assert np.asarray(draw_sound(waveform, 16000, (20, 10)).convert("L")).max() < 20
