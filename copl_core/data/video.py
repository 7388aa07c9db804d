"""Video files: what is in them, and the pictures shown at given times.

PyAV brings its own FFmpeg, so no program has to be installed. It is imported on first use.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from copl_core.api import DataError
from copl_core.data.stages import stage

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoFrame, VideoStream
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter

#: Seconds to the next wanted picture from which on the file is searched (a seek) instead of read through.
SEEK_FROM = 2.0
#: Seconds by which a search aims early: some formats search by decoding time, which runs ahead of showing time.
SEEK_MARGIN = 0.5
#: Seconds that may be missing at a file's end before it counts as cut short, as headers are off by some frames; and at
#: its start before it counts as damaged, as some of what was cut out of a longer file can't be decoded.
SLACK = 1.0
#: Microseconds, FFmpeg's unit for whole files.
FILE_CLOCK = 1_000_000
_HINT = "re-extract or re-download this file"


@dataclass(frozen=True)
class VideoInfo:
    """What is in a video file.

    Attributes:
        seconds: Duration of the picture track.
        sound_seconds: From the first picture to the end of the sound; 0 without a sound track.
        rate: Hz of the sound; None without a sound track.
        channels: Channels of the sound; 0 without a sound track.
    """

    seconds: float
    sound_seconds: float
    rate: int | None
    channels: int


def probe(path: str | PathLike[str]) -> VideoInfo:
    """Look at a file's header and its last packets: some milliseconds, whatever its length.

    Raises:
        DataError: The file is missing, no video, cut short, or has no picture track.
    """
    path = Path(path)
    with open_video(path) as container:
        sound = sound_track(container)
        seconds, sound_seconds = _durations(container, picture_track(container, path), sound, path)
        if sound is None:
            return VideoInfo(seconds=seconds, sound_seconds=0.0, rate=None, channels=0)
        return VideoInfo(seconds=seconds, sound_seconds=sound_seconds, rate=sound.rate, channels=sound.channels)


@stage("pictures")
def read_frames(
    path: str | PathLike[str], times: Sequence[float] | Callable[[float], Sequence[float]]
) -> list[Image.Image]:
    """Read the pictures shown at given times.

    A picture is shown from its own time until the next one's, so frame rates may vary. Times count from the track's
    first picture; the first and the last picture also stand for what is before and after. Only what is needed is
    decoded: from the key frame before each time. Damage elsewhere in the file is not noticed.

    Args:
        path: Any container and codec FFmpeg reads.
        times: Seconds, in any order; or a function that gives them for the track's duration in seconds.

    Returns:
        One upright RGB picture for each time.

    Raises:
        DataError: The file is missing, damaged, no video, cut short, or has no pictures.
    """
    from av import FFmpegError

    path = Path(path)
    with open_video(path) as container:
        seconds, _ = _durations(container, picture_track(container, path), None, path)
    if callable(times):
        times = times(seconds)
    try:
        return _read_frames(path, times, seconds, jump=True)
    except (_AstrayError, FFmpegError):
        # Some files can't be searched, or not exactly. Read from the start, a file tells everything it has.
        return _read_frames(path, times, seconds, jump=False)


class _AstrayError(Exception):
    """A search in the file led past what was looked for."""


@dataclass(frozen=True)
class _Picture:
    """A decoded picture, its time in seconds from the first one, and whether nothing of it had to be made up."""

    time: float
    frame: "VideoFrame"
    whole: bool


class _Pictures:
    """Walks forward through a picture track; times must not go back.

    Args:
        container: At its start.
        track: Its picture track.
        path: For messages.
        seconds: Duration of the track.
        jump: Whether to leave out what no wanted picture depends on.
    """

    def __init__(
        self, container: "InputContainer", track: "VideoStream", path: Path, *, seconds: float, jump: bool
    ) -> None:
        self.container = container
        self.track = track
        self.path = path
        self.seconds = seconds
        self.jump = jump
        self.search = jump
        self.clock = float(track.time_base or 0)
        packets = container.demux(track)
        first = next(packets)
        self.start = first_ticks(first)
        self.packets: Iterator[Packet[Any]] = chain([first], packets)
        self.read = 0.0  # decoding time of the last packet that was read
        self.end = 0.0  # where the last picture ends that was read
        self.ended = False
        self.coming: deque[_Picture] = deque()
        self.shown: _Picture | None = None
        self.keyed = False  # whether there was a key frame: what is before it may be lost, cut out of a longer file
        self.begun = False  # whether there was a picture
        self.whole = True  # False from a damaged picture to the next key frame, as others are made of it
        self.astray = False  # whether earlier pictures were left out and none was found since

    def at(self, time: float) -> "VideoFrame":
        """The picture shown at a time.

        Raises:
            DataError: There are none, or it is damaged.
            _AstrayError: Left out what turned out to be needed. Not without ``jump``.
        """
        # Showing times are rounded to the container's clock; a tick of it is a millisecond or less, except in AVI.
        limit = time + min(self.clock / 2, 0.001)
        if self.search and limit - self.read > SEEK_FROM:
            self._seek(limit - SEEK_MARGIN)
        while True:
            while self.coming and self.coming[0].time <= limit:
                self.shown = self.coming.popleft()
                self.astray = False
            if self.coming or self.ended:
                break
            self._load(limit)
        if self.astray:
            raise _AstrayError
        if self.ended and not self.coming and self.end < min(time, self.seconds) - SLACK:
            raise self._damaged(f"damaged, there are no pictures from {self.end:.1f} to {self.seconds:.1f} s")
        picture = self.shown or (self.coming[0] if self.coming else None)
        if picture is None:
            raise video_error(self.path, "its picture track holds no pictures")
        if not picture.whole:
            raise self._damaged(f"damaged, the picture at {picture.time:.1f} s can't be decoded whole")
        return picture.frame

    def _load(self, limit: float) -> None:
        """Decode one packet beyond ``limit``, and before it what a picture shown then can depend on."""
        gap: list[Packet[Any]] = []
        for packet in self.packets:
            gap.append(packet)
            if packet.pts is not None:
                time = self._seconds(packet.pts)
                if time > self.seconds + SLACK:
                    raise self._damaged(f"damaged, it has a picture at {time:.1f} s but lasts {self.seconds:.1f} s")
                self.end = max(self.end, self._seconds(packet.pts + (packet.duration or 0)))
            if self.jump and packet.is_keyframe and packet.pts is not None and self._seconds(packet.pts) <= limit:
                gap = [packet]
                self._forget()
            if packet.dts is None:
                break
            self.read = self._seconds(packet.dts)
            if self.read > limit:
                break
        self.ended = not gap
        for packet in gap:
            self.keyed = self.keyed or packet.is_keyframe
            early = packet.dts is None or self._seconds(packet.dts) <= SLACK
            for frame in decode(self.track, packet, tolerant=early and not self.keyed and not self.jump):
                self._take(frame)

    def _take(self, frame: "VideoFrame") -> None:
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is None:
            raise video_error(self.path, "its pictures don't say when they are shown")
        time = self._seconds(ticks)
        self.whole = (self.whole or frame.key_frame) and not frame.is_corrupt
        if not self.begun and not self.whole and not self.keyed and time <= SLACK:
            return
        if not self.begun and not self.astray and time > SLACK:
            raise self._damaged(f"damaged, no picture of its first {time:.1f} s can be decoded")
        self.begun = True
        self.coming.append(_Picture(time, frame, self.whole))

    def _damaged(self, reason: str) -> Exception:
        """The error to raise: what can't be decoded from a key frame on may be had by reading from the start."""
        return _AstrayError() if self.jump else video_error(self.path, reason)

    def _seek(self, time: float) -> None:
        read = self.read
        self.container.seek(round(time / self.clock) + self.start, stream=self.track)
        self._forget()
        self.packets = self.container.demux(self.track)
        first = next(self.packets)
        ticks = first.pts if first.pts is not None else first.dts
        if ticks is None:
            raise _AstrayError
        self.packets = chain([first], self.packets)
        if self._seconds(ticks) <= read:
            # Key frames are rarer than wanted pictures: searching would decode the same ones again and again.
            self.search = False

    def _forget(self) -> None:
        self.track.codec_context.flush_buffers()
        self.coming.clear()
        self.shown = None
        self.whole = True
        self.astray = True

    def _seconds(self, ticks: int) -> float:
        return (ticks - self.start) * self.clock


def _read_frames(path: Path, times: Sequence[float], seconds: float, *, jump: bool) -> list[Image.Image]:
    from av.video.reformatter import VideoReformatter

    images: dict[int, Image.Image] = {}
    reformatter = VideoReformatter()  # one for all pictures: its tables cost as much as several conversions
    with open_video(path, raw=jump) as container:
        pictures = _Pictures(container, picture_track(container, path), path, seconds=seconds, jump=jump)
        for index in sorted(range(len(times)), key=times.__getitem__):
            images[index] = Image.fromarray(upright(pictures.at(times[index]), reformatter))
    return [images[index] for index in range(len(times))]


@contextmanager
def open_video(path: Path, *, raw: bool = False) -> "Iterator[InputContainer]":
    """Open a file; what goes wrong while it is open becomes a ``DataError``, unless ``raw`` leaves it as it is."""
    import av

    if not path.exists():
        raise video_error(path, "no such file")
    if path.is_dir():
        raise video_error(path, "it is a folder, not a video file")
    if not path.stat().st_size:
        raise video_error(path, "the file is empty")
    try:
        # With the protocol spelled out, no part of a name is taken for one.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except av.FFmpegError as error:
        reason = "not a video file, or cut short" if isinstance(error, av.InvalidDataError) else _reason(error)
        raise video_error(path, reason) from error
    with container:
        try:
            yield container
        except av.FFmpegError as error:
            if raw:
                raise
            raise video_error(path, f"damaged or cut short ({_reason(error)})") from error


def picture_track(container: "InputContainer", path: Path) -> "VideoStream":
    """The track that a player would show.

    Raises:
        DataError: There is none, or it can't be decoded.
    """
    track = shown_track(container)
    if track is None:
        raise video_error(path, "no video track")
    if track.codec_context is None:
        raise video_error(path, "its pictures are in a format that can't be decoded")
    # DataLoader's workers share the cores among them; threads here would only wait for each other.
    track.codec_context.thread_count = 1
    return track


def shown_track(container: "InputContainer") -> "VideoStream | None":
    """The picture track that a player would show, whether it can be decoded or not; None if there is none."""
    from av.stream import Disposition

    # The cover of a song is stored as a picture track, too.
    tracks = [t for t in container.streams.video if not t.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return next((t for t in tracks if best is not None and t.index == best.index), tracks[0] if tracks else None)


def sound_track(container: "InputContainer") -> "AudioStream | None":
    """The track that a player would play; None if there is none."""
    tracks = container.streams.audio
    best = container.streams.best("audio")
    return next((t for t in tracks if best is not None and t.index == best.index), None)


def first_ticks(packet: "Packet[Any]") -> int:
    """Time of a track's first frame, by its first packet, in the track's ticks."""
    # The header may mean decoding time (AVI); but not where it cuts off the packets before its start (MP4).
    if packet.pts is not None and not packet.is_discard:
        return packet.pts
    return packet.stream.start_time or 0


def decode(track: Any, packet: "Packet[Any]", *, tolerant: bool) -> list[Any]:
    """Frames of a packet, none if it can't be decoded and ``tolerant`` lets that pass.

    That is meant for the first packets of a file: cut out of a longer one, some lack others.
    """
    from av import FFmpegError

    try:
        frames: list[Any] = track.codec_context.decode(packet if packet.size else None)
    except FFmpegError:
        if not tolerant:
            raise
        return []
    return frames


def _durations(
    container: "InputContainer", track: "VideoStream", sound: "AudioStream | None", path: Path
) -> tuple[float, float]:
    """Seconds from the first picture to the end of the pictures and to that of the sound; moves the container.

    Raises:
        DataError: The file ends before it should, or the pictures last no time.
    """
    promised = (container.duration or 0) / FILE_CLOCK
    if container.format.name == "avi" and track.average_rate:
        # FFmpeg measures an AVI anew if its end, the index, is missing; the header still counts the pictures.
        promised = max(promised, float(track.frames / track.average_rate))
    begin = (container.start_time or 0) / FILE_CLOCK
    first = float((track.start_time or 0) * (track.time_base or 0))
    ends = _find_ends(container, [track.index, *([] if sound is None else [sound.index])])
    file = max(ends.values(), default=begin) - begin
    if file < promised - SLACK:
        raise video_error(path, f"cut short, {file:.1f} s of {promised:.1f} s are there")
    pictures = ends.get(track.index, first) - first
    if track.duration and track.time_base:
        pictures = float(track.duration * track.time_base)
    if pictures <= 0:
        raise video_error(path, "its picture track lasts 0 s")
    return pictures, 0.0 if sound is None else max(0.0, ends.get(sound.index, first) - first)


def _find_ends(container: "InputContainer", wanted: Sequence[int]) -> dict[int, float]:
    """Seconds on the file's clock at which tracks end, by index, by the packets of the file's last second.

    Where the file's duration isn't known, or a wanted track has no packet in that second, by all packets.
    """
    from av import FFmpegError

    tracks = [t for t in container.streams if t.type in ("video", "audio")]
    begin = container.start_time or 0
    ends: dict[int, float] = {}
    for start in (begin + max(0, (container.duration or 0) - FILE_CLOCK), begin):
        # Where that fails it is read from where it is: any way leads to the end.
        with suppress(FFmpegError):
            container.seek(start, any_frame=True)
        for packet in container.demux(tracks):
            ticks = packet.pts if packet.pts is not None else packet.dts
            if ticks is not None and packet.time_base is not None:
                end = float((ticks + (packet.duration or 0)) * packet.time_base)
                ends[packet.stream_index] = max(end, ends.get(packet.stream_index, end))
        if all(index in ends for index in wanted):
            break
    return ends


def upright(frame: "VideoFrame", reformatter: "VideoReformatter | None" = None) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) as a player shows them: turned and mirrored by the display matrix.

    The matrix [[a, b], [c, d]] takes a pixel (x, y) to (a x + c y, b x + d y).

    Args:
        frame: As decoded.
        reformatter: Converts it; None makes one for this frame.
    """
    rgb = frame.reformat(format="rgb24") if reformatter is None else reformatter.reformat(frame, format="rgb24")
    pixels: NDArray[np.uint8] = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
    side_data: Any = frame.side_data  # PyAV's types know a few keys only
    if "DISPLAYMATRIX" not in side_data:
        return pixels
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), dtype=np.int32)
    if abs(b) > abs(a):
        pixels = pixels.transpose(1, 0, 2)
        a, d = c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def video_error(path: Path, reason: str, hint: str = _HINT) -> DataError:
    """The error to raise about a file: what is wrong with it, and what to do."""
    return DataError(f"cannot read video {path}: {reason}; {hint}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
