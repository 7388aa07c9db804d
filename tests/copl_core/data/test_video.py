import ast
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition
from PIL import Image

from copl_core.api import DataError
from copl_core.data import probe, read_frames, read_sound, read_sound_pieces
from copl_core.data import video as module
from video_files import number_of, numbered, tone, write_video

STEADY = [index / 25 for index in range(100)]
SPARSE = {"g": "1000", "bf": "2"}
DENSE = {"g": "12", "bf": "2"}
INTRA = {"g": "1"}


def shown(times: list[float], wanted: float) -> int:
    """Number of the picture that a player shows: the last that has begun, by a plain search."""
    return max((index for index, time in enumerate(times) if time <= wanted + 1e-6), default=0)


def numbers(path, wanted) -> list[int]:
    return [number_of(image) for image in read_frames(path, wanted)]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("dense.mp4", "libx264", DENSE),
        ("sparse.mp4", "libx264", SPARSE),
        ("open.mp4", "libx264", {"g": "20", "bf": "3", "x264-params": "open-gop=1"}),
        ("dense.mkv", "libx264", DENSE),
        ("dense.avi", "mpeg4", {"g": "12"}),
        ("b.avi", "mpeg4", {"g": "12", "bf": "2"}),
        ("dense.flv", "libx264", DENSE),
        ("dense.mov", "mpeg4", {"g": "12", "bf": "2"}),
        ("dense.webm", "libvpx-vp9", {"g": "30", "deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_pictures_are_those_a_player_shows(tmp_path, name: str, codec: str, options: dict) -> None:
    path = write_video(tmp_path / name, STEADY, codec=codec, options=options, clock=25)
    wanted = [0.0, 0.02, 0.04, 0.5, 0.51, 1.0, 3.0, 3.96, 3.99, 100.0]

    assert numbers(path, wanted) == [shown(STEADY, time) for time in wanted]
    assert probe(path).seconds == pytest.approx(4.0, abs=0.05)


def test_frame_rate_may_vary(tmp_path) -> None:
    rng = np.random.default_rng(0)
    times = [0.0, *np.cumsum(rng.uniform(0.02, 1.2, 60)).round(2)]
    wanted = sorted(rng.uniform(0, times[-1], 40))

    for name in ("vfr.mp4", "vfr.mkv"):
        path = write_video(tmp_path / name, times, options={"g": "7", "bf": "2"}, clock=100)
        assert numbers(path, wanted) == [shown(times, time) for time in wanted]


def test_times_may_come_in_any_order_and_repeat(tmp_path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY, options=DENSE, clock=25)

    assert numbers(path, [2.0, 0.0, 2.0, 1.0, -5.0]) == [50, 0, 50, 25, 0]


def test_times_can_depend_on_the_duration(tmp_path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY, options=DENSE, clock=25)

    assert numbers(path, lambda seconds: [seconds / 2]) == [50]


@pytest.mark.parametrize("options", [DENSE, SPARSE, INTRA], ids=["dense", "sparse", "intra"])
@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_only_what_is_needed_is_decoded(tmp_path, monkeypatch, name: str, options: dict) -> None:
    times = [index / 10 for index in range(600)]
    path = write_video(tmp_path / name, times, options=options, clock=10)
    wanted = [6.5 * index + 0.35 for index in range(10)]
    decoded = []
    decode = module.decode
    monkeypatch.setattr(module, "decode", lambda *args, **kw: decoded.append(args[1].size) or decode(*args, **kw))

    assert numbers(path, wanted) == [shown(times, time) for time in wanted]

    group = int(options["g"])
    # A group of pictures each, and the few that a decoder holds back; a file without key frames never twice in full.
    assert sum(map(bool, decoded)) <= (10 * (group + 8) if group < 600 else 700)


def test_gaps_are_read_through_where_a_file_cannot_be_searched(tmp_path, monkeypatch) -> None:
    path = write_video(tmp_path / "a.mp4", [index / 10 for index in range(100)], options=DENSE, clock=10)

    def fail(self, time: float) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module._Pictures, "_seek", fail)

    assert numbers(path, [0.0, 8.0]) == [0, 80]


def test_search_that_goes_astray_is_noticed(tmp_path, monkeypatch) -> None:
    path = write_video(tmp_path / "a.mp4", [index / 10 for index in range(200)], options=DENSE, clock=10)
    monkeypatch.setattr(module, "SEEK_MARGIN", -4.0)

    assert numbers(path, [0.0, 8.0, 12.0]) == [0, 80, 120]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_pictures_come_upright(tmp_path, quarters: int, mirrored: bool) -> None:
    picture = np.full((32, 64, 3), 20, dtype=np.uint8)
    picture[:16, :32] = 220
    picture[16:, :32] = 120
    path = write_video(tmp_path / "a.mp4", [0, 0.1], pictures=[picture] * 2, rotation=(90 * quarters, mirrored))

    (image,) = read_frames(path, [0.0])

    expected = np.rot90(picture, quarters)
    expected = expected[:, ::-1] if mirrored else expected
    assert np.asarray(image).shape == expected.shape
    assert np.abs(np.asarray(image, dtype=int) - expected).mean() < 6


@pytest.mark.parametrize("name", ["live.webm", "live.mkv"])
def test_missing_duration_is_found(tmp_path, name: str) -> None:
    codec, options = ("libvpx-vp9", {"deadline": "realtime"}) if name.endswith("webm") else ("libx264", DENSE)
    path = write_video(
        tmp_path / name, STEADY[:50], codec=codec, options=options, clock=25, container_options={"live": "1"}
    )
    with av.open(str(path)) as container:
        assert container.duration is None

    assert probe(path).seconds == pytest.approx(2.0, abs=0.05)
    assert numbers(path, lambda seconds: [seconds - 0.03]) == [49]


def test_sound_longer_than_the_pictures_does_not_count(tmp_path) -> None:
    path = write_video(tmp_path / "a.mkv", STEADY[:50], clock=25, sound=tone(16000, 5.0))

    assert probe(path).seconds == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("name", ["-dash.mp4", "a:b.mp4", "%03d.mp4", "two words.mp4", "ünï#?.mp4"])
def test_any_name_will_do(tmp_path, monkeypatch, name: str) -> None:
    write_video(tmp_path / name, STEADY[:5], clock=25, sound=tone(16000, 0.5))
    monkeypatch.chdir(tmp_path)

    assert numbers(name, [0.0, 0.13]) == [0, 3]
    assert read_sound(name)[1] == 16000


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.mkv", "pcm_s16le", 8000, 1),
        ("a.mkv", "pcm_s16le", 96000, 2),
        ("a.avi", "pcm_s16le", 44100, 2),
        ("a.avi", "pcm_u8", 11025, 1),
        ("a.mkv", "pcm_s16le", 48000, 6),
        ("a.mp4", "aac", 16000, 1),
        ("a.mp4", "aac", 44100, 2),
        ("a.mp4", "aac", 48000, 6),
        ("a.webm", "libopus", 48000, 2),
    ],
)
def test_sound_is_read_as_one_channel_at_its_own_rate(tmp_path, name, codec, rate, channels) -> None:
    samples = tone(rate, 1.0, channels)
    samples[3:4] = 0  # the bass channel of 5.1 holds no such tones
    pictures = "libvpx-vp9" if name.endswith("webm") else "mpeg4"
    path = write_video(
        tmp_path / name, STEADY[:25], codec=pictures, clock=25, sound=samples, sound_codec=codec, rate=rate
    )

    for downmix, expected in (("mean", samples.mean(0)), ("channel0", samples[0])):
        waveform, found = read_sound(path, downmix)

        assert found == rate
        assert waveform.dtype == torch.float32
        assert waveform.shape[0] >= rate
        tolerance = {"pcm_s16le": 1e-3, "pcm_u8": 0.03}.get(codec, 0.15)
        middle = slice(rate // 4, 3 * rate // 4)  # codecs may fade in and out
        error = waveform.numpy()[middle] - expected[middle]
        assert np.sqrt((error**2).mean()) < tolerance * np.sqrt((expected**2).mean())
    info = probe(path)
    assert (info.rate, info.channels) == (rate, channels)


def test_no_audio_track(tmp_path) -> None:
    path = write_video(tmp_path / "mute.mp4", STEADY[:5], clock=25)

    assert probe(path).rate is None
    assert probe(path).channels == 0
    with pytest.raises(DataError, match=r"cannot read video .*mute\.mp4: no audio track; use a version with sound"):
        read_sound(path)


def test_no_video_track(tmp_path) -> None:
    path = write_video(tmp_path / "song.mp4", None, sound=tone(16000, 1.0))

    assert read_sound(path)[1] == 16000
    for read in (probe, lambda path: read_frames(path, [0.0])):
        with pytest.raises(DataError, match=r"song\.mp4: no video track"):
            read(path)


def test_cover_of_a_song_is_no_picture_track(tmp_path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=16000, layout="mono")
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        picture.pts = 0
        container.mux(cover.encode(picture))
        for start in range(0, 16384, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(sound.encode(frame))

    with pytest.raises(DataError, match="no video track"):
        read_frames(path, [0.0])


def test_file_cut_out_of_a_longer_one_may_begin_with_pictures_that_cannot_be_decoded(tmp_path) -> None:
    whole = write_video(tmp_path / "whole.mkv", STEADY[:50], options={**DENSE, "sc_threshold": "0"}, clock=25)
    path = tmp_path / "cut.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(source.demux(video=0)):
            if index >= 7 and packet.size:
                packet.stream = track
                target.mux(packet)

    first, last = numbers(path, [0.0, 100.0])

    assert first == 12  # the next key frame
    assert last == 49


def damage(path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_bytes(b"<html>not found</html>" * 50)
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: int(len(content) * 0.6)])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "the file is empty"),
        ("text", "not a video file"),
        ("folder", "it is a folder"),
        ("missing", "no such file"),
        ("cut", "not a video file, or cut short"),
    ],
)
def test_bad_file_is_named(tmp_path, kind: str, reason: str) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY, clock=25, sound=tone(16000, 4.0))
    damage(path, kind)

    for read in (
        probe,
        read_sound,
        lambda path: read_frames(path, [0.0]),
        lambda path: read_frames(path, lambda s: [s]),
    ):
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(caught.value).startswith(f"cannot read video {path}: {reason}")
        assert "; " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.avi", {}), ("a.flv", {})],
)
def test_file_cut_after_its_header_is_refused(tmp_path, name: str, options: dict) -> None:
    times = [index / 10 for index in range(100)]
    path = write_video(
        tmp_path / name,
        times,
        codec="libx264" if name == "a.flv" else "mpeg4",
        options={"g": "10"},
        clock=10,
        container_options=options,
        sound=tone(16000, 10.0),
        sound_codec="aac" if name != "a.avi" else "pcm_s16le",
    )
    assert numbers(path, [9.5]) == [95]
    damage(path, "cut")

    for read in (probe, lambda path: read_frames(path, [0.0])):
        with pytest.raises(DataError, match=r"cut short.*; re-extract or re-download this file"):
            read(path)


def wrong_pictures(path, wanted: list[float]) -> list[int]:
    """Pictures that are not the ones shown at these times of a file with STEADY's."""
    return [index for index, image in enumerate(read_frames(path, wanted)) if off(image, shown(STEADY, wanted[index]))]


def off(image: Image.Image, number: int) -> bool:
    """Whether an image is not the numbered picture, give or take the codec's losses."""
    return bool(np.abs(np.asarray(image, dtype=int) - numbered(number)).mean() > 8)


def clicks(*seconds: float, rate: int = 16000, length: float) -> np.ndarray:
    """Sound (1, S) with a click of 10 ms at each of these times."""
    samples = np.zeros((1, round(length * rate)), np.float32)
    for second in seconds:
        samples[0, round(second * rate) : round((second + 0.01) * rate)] = 0.8
    return samples


def heard(path) -> list[float]:
    """Seconds at which clicks begin."""
    waveform, rate = read_sound(path)
    loud = (waveform.abs() > 0.2).numpy()
    starts = np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]])) / rate
    return [start for before, start in zip([-1, *starts], starts, strict=False) if start - before > 0.1]


@pytest.mark.parametrize("share", [1 / 20, 1 / 8, 1 / 5, 1 / 3])
def test_damage_at_the_start_is_refused_and_nothing_moves(tmp_path, share: float) -> None:
    seconds = [0.5 + index for index in range(10)]
    times = [index / 10 for index in range(100)]
    path = write_video(tmp_path / "a.mp4", times, options=DENSE, clock=10, sound=clicks(*seconds, length=10.0))
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    end = begin + round(len(content) * share)
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)

    refused = 0
    try:
        images = read_frames(path, times)
        late = [index for index, image in enumerate(images) if off(image, index)]
        assert late == list(range(len(late)))  # only the first picture stands for earlier ones
        assert len(late) <= module.SLACK * 10
    except DataError as error:
        refused += "damaged" in str(error)
    try:
        missing = len(seconds) - len(heard(path))
        assert heard(path) == pytest.approx(seconds[missing:], abs=0.02)
        assert not missing
    except DataError as error:
        refused += "damaged" in str(error)

    assert refused == 2 or share < 0.1


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mp4", "libx264", DENSE), ("a.mov", "libx264", SPARSE), ("a.mp4", "mpeg4", {"g": "12"})],
)
def test_damage_in_the_middle_is_refused_where_it_shows(tmp_path, capfd, name: str, codec: str, options: dict) -> None:
    wanted = STEADY[:50]
    path = write_video(
        tmp_path / name, wanted, codec=codec, options=options, clock=25, sound=clicks(0.5, 1.5, length=2.0)
    )
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused, read, slipped = [], 0, 0
    for _ in range(24):
        damaged = bytearray(content)
        length = rng.integers(4, 400)
        start = rng.integers(50, len(content) * 3 // 4)
        damaged[start : start + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        path.write_bytes(damaged)
        try:
            wrong = wrong_pictures(path, wanted)
            read += 1
            slipped += wrong != list(range(len(wrong)))  # the first picture may stand for earlier ones
        except DataError as error:
            refused.append(str(error))
        try:
            found = heard(path)
            assert all(min(abs(time - second) for second in (0.5, 1.5)) < 0.07 for time in found)
        except DataError as error:
            refused.append(str(error))

    assert read
    assert refused
    assert slipped <= 1  # noise may happen to be a picture
    assert all(message.startswith(f"cannot read video {path}: ") for message in refused)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "pcm_s16le"), ("a.mkv", "aac"), ("a.mp4", "aac")])
@pytest.mark.parametrize("shift", ["late", "early", "gap"])
def test_sound_keeps_its_time(tmp_path, name: str, codec: str, shift: str) -> None:
    moved = {
        "late": lambda time: time + 3,  # no sound before the third second
        "early": lambda time: time,  # the pictures begin 0.48 s after the sound
        "gap": lambda time: time if time < 2 else time + 2,  # none from 2 to 4 s
    }[shift]
    begin = 0.48 if shift == "early" else 0.0
    path = write_video(
        tmp_path / name,
        [time + begin for time in STEADY],
        clock=25,
        sound=clicks(0.25, 1.0, 3.0, length=4.0),
        sound_codec=codec,
        sound_shift=moved,
    )

    expected = {"late": [3.25, 4.0, 6.0], "early": [0.52, 2.52], "gap": [0.25, 1.0, 5.0]}[shift]
    assert heard(path) == pytest.approx(expected, abs=0.03)
    waveform, rate = read_sound(path)
    for second in expected:
        ((piece, _),) = read_sound_pieces(path, [second - 0.1], 0.2)
        np.testing.assert_array_equal(piece, waveform[round((second - 0.1) * rate) :][: len(piece)])
    assert probe(path).sound_seconds == pytest.approx(expected[-1] + 1, abs=0.1)


def test_sound_without_pictures_begins_with_itself(tmp_path) -> None:
    sound = clicks(0.5, length=1.0)
    path = write_video(tmp_path / "a.mkv", None, sound=sound, sound_codec="pcm_s16le", sound_shift=lambda t: t + 2)

    assert heard(path) == pytest.approx([0.5], abs=0.01)


def test_sound_that_ends_early_is_measured(tmp_path) -> None:
    for name in ("a.mp4", "a.mkv"):
        path = write_video(tmp_path / name, STEADY, clock=25, sound=tone(16000, 0.5))

        assert probe(path).sound_seconds == pytest.approx(0.5, abs=0.1)


def test_what_tasks_may_not_need_is_imported_on_first_use() -> None:
    for file in Path(module.__file__).parent.glob("*.py"):
        statements = ast.parse(file.read_text(encoding="utf-8")).body
        names = {alias.name for s in statements if isinstance(s, ast.Import) for alias in s.names}
        names |= {s.module for s in statements if isinstance(s, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & {"av", "soundfile", "torchaudio"}, file
