import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from copl_core.api import DataError
from copl_core.data import Recording, Window, find_recordings, read_sound, read_sound_pieces
from video_files import number_of, tone, write_video


def of_length(seconds: float) -> Recording:
    """A recording of which only the duration counts."""
    recording = Recording.__new__(Recording)
    recording.seconds = seconds
    return recording


@given(st.floats(1, 500), st.integers(1, 60))
def test_windows_cover_every_whole_second_once(seconds: float, length: int) -> None:
    windows = of_length(seconds).windows(length)
    if seconds <= 1.1 * length:
        assert windows == [Window(0.0, seconds, whole=True)]
        return
    new = [w.start + step for w in windows for step in range(int(w.seen), length)]
    assert new == list(range(round(len(new))))
    assert abs(len(new) - seconds) <= 0.5
    assert all(w.seconds == length and w.start + length <= seconds + 0.5 for w in windows)


def test_last_window_reaches_back() -> None:
    windows = of_length(23.4).windows(10)
    assert [(w.start, w.seen) for w in windows] == [(0, 0), (10, 0), (13, 7)]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Nine seconds of numbered pictures, ten a second, with a rising sound that is longer."""
    sound = np.linspace(-0.5, 0.5, 16000 * 10, dtype=np.float32)[None] * np.float32(1)
    path = tmp_path_factory.mktemp("recording") / "a.mkv"
    return write_video(path, [i / 10 for i in range(90)], sound=sound, sound_codec="pcm_s16le")


@pytest.mark.parametrize("starts", [[0, 4, 5], [0, 2, 4, 6, 8], [7], [8.5, 8.5]])
def test_pieces_of_sound_are_those_of_the_whole(video, starts) -> None:
    whole, rate = read_sound(video)
    pieces = list(read_sound_pieces(video, starts, 4))
    assert len(pieces) == len(starts)
    padded = torch.cat([whole, torch.zeros(10 * rate)])
    for start, (piece, piece_rate) in zip(starts, pieces, strict=True):
        assert piece_rate == rate
        assert torch.equal(piece, padded[int(start * rate) :][: 4 * rate])


def test_a_recording_gives_pictures_and_sound_of_its_windows(video) -> None:
    recording = Recording(video)
    windows = recording.windows(4)
    assert [w.start for w in windows] == [0, 4, 5]
    assert [number_of(picture) for picture in recording.frames([0.0, 4.25, 30.0])] == [0, 42, 89]
    assert [len(waveform) for waveform, _ in recording.sounds(windows)] == [64000] * 3
    ((waveform, _),) = Recording(video).sounds(recording.windows(9))
    assert torch.equal(waveform, read_sound(video)[0])


def test_what_cannot_be_heard_or_is_too_short_is_refused(tmp_path) -> None:
    mute = write_video(tmp_path / "mute.mp4", [0.0, 1.0, 2.0])
    with pytest.raises(DataError, match=r"mute\.mp4 has no sound track"):
        Recording(mute)
    with pytest.raises(DataError, match="is a folder: give one of its videos"):
        Recording(tmp_path)
    short = write_video(tmp_path / "short.mp4", [0.0, 0.1, 0.2], sound=tone(16000, 0.3))
    with pytest.raises(DataError, match=r"short\.mp4 lasts 0\.\d\d s: too short, 1 s are needed"):
        Recording(short)
    zeros = write_video(tmp_path / "zeros.mp4", [i / 5 for i in range(60)], sound=np.zeros((1, 192000), np.float32))
    for length in (12, 5):
        recording = Recording(zeros)
        with pytest.raises(DataError, match=r"zeros\.mp4 is silent: every sample"):
            list(recording.sounds(recording.windows(length)))


def test_a_video_that_is_heard_late_is_not_silent(tmp_path) -> None:
    sound = np.concatenate([np.zeros((1, 160000), np.float32), tone(16000, 2)], axis=1)
    recording = Recording(write_video(tmp_path / "late.mp4", [i / 5 for i in range(60)], sound=sound))
    assert len(list(recording.sounds(recording.windows(5)))) == 3


def test_a_folder_stands_for_its_videos(tmp_path) -> None:
    for name in ("b.mp4", "a.MKV", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "c.mp4").mkdir()
    assert [path.name for path in find_recordings(tmp_path)] == ["a.MKV", "b.mp4"]
    assert find_recordings(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(DataError, match="no such file or folder"):
        find_recordings(tmp_path / "absent")
    with pytest.raises(DataError, match="no video"):
        find_recordings(tmp_path / "c.mp4")
