"""A video with every picture drawn anew and its sound kept."""

import errno
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from copl_core.api import DataError
from copl_core.data.video import open_video, picture_track, read_frames, sound_track, upright

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, Packet, VideoFrame
    from av.container import OutputContainer

#: Pixels of the shorter side below which pictures are enlarged, and of the longer side above which they are shrunk.
SMALLEST, LARGEST = 360, 1280
#: Sound of these codecs goes into an MP4 file as it is; any other becomes AAC.
_KEPT = ("aac", "mp3", "ac3", "alac")
#: Hz that AAC knows, the one for all others first.
_AAC_RATES = (48000, 44100, 32000, 96000, 88200, 64000, 24000, 22050, 16000, 12000, 11025, 8000)
_CLOCK = 90_000  # ticks a second of the written picture track
_MICROSECONDS = 1_000_000
# The source is open by then: these can only be about the file that is written.
_WRITING = (errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)


def redraw_video(source: Path, target: Path, draw: Callable[[Image.Image, float], Image.Image]) -> None:
    """Write an H.264 MP4 of every picture of a video, drawn anew, with the video's sound.

    Pictures keep their times, and sound in AAC, MP3, AC-3 or ALAC its very bytes. One picture is held at a time.

    Args:
        source: The video.
        target: The MP4 file; replaced if there.
        draw: Gets an upright RGB picture, enlarged or shrunk to a legible size, and its time in seconds from the first
            one; returns one of the same size.

    Raises:
        DataError: The video is damaged, or the file can't be written.
    """
    import av

    size = _legible(read_frames(source, [0.0])[0].size)
    with open_video(source) as container:
        pictures, sound = picture_track(container, source), sound_track(container)
        try:
            with av.open(f"file:{target}", "w", format="mp4") as output:
                begin = float((container.start_time or 0) / _MICROSECONDS)
                writer = _Writer(output, size, pictures.average_rate, sound, begin)
                canvas = _Canvas(writer, draw, size, float(pictures.time_base or 0))
                for packet in container.demux([pictures, *([] if sound is None else [sound])]):
                    if not packet.size:  # each track's end
                        continue
                    if packet.stream_index == pictures.index:
                        canvas.redraw(pictures.codec_context.decode(packet))
                    else:
                        writer.sound(packet)
                canvas.redraw(pictures.codec_context.decode(None))
                writer.close()
        except OSError as error:
            # Any other error is of reading: ``open_video`` tells it.
            if error.errno not in _WRITING:
                raise
            raise DataError(f"cannot write {target}: {error.strerror or error}") from error


class _Canvas:
    """Where pictures are drawn anew.

    Args:
        writer: Gets them.
        draw: See ``redraw_video``.
        size: Width and height.
        clock: Seconds of a tick of the picture track.
    """

    def __init__(
        self, writer: "_Writer", draw: Callable[[Image.Image, float], Image.Image], size: tuple[int, int], clock: float
    ) -> None:
        self.writer = writer
        self.draw = draw
        self.size = size
        self.clock = clock
        self.first: float | None = None

    def redraw(self, frames: "Sequence[VideoFrame]") -> None:
        """Draw and write decoded frames."""
        for frame in frames:
            ticks = frame.pts if frame.pts is not None else frame.dts
            time = (ticks or 0) * self.clock
            self.first = time if self.first is None else self.first
            picture = Image.fromarray(upright(frame)).resize(self.size, Image.Resampling.BICUBIC)
            self.writer.picture(self.draw(picture, time - self.first), time)


class _Writer:
    """The file that is written.

    Args:
        output: Without tracks.
        size: Of the pictures, width and height.
        rate: Of the pictures, for the encoder to plan with.
        sound: The track of the source, if it has one.
        begin: Seconds on the source's clock that become 0.
    """

    def __init__(
        self,
        output: "OutputContainer",
        size: tuple[int, int],
        rate: Fraction | None,
        sound: "AudioStream | None",
        begin: float,
    ) -> None:
        from av import AudioResampler

        self.output = output
        self.begin = begin
        self.video: Any = output.add_stream("libx264", rate=rate or 25, options={"crf": "20", "preset": "veryfast"})
        self.video.width, self.video.height = size
        self.video.pix_fmt = "yuv420p"
        self.video.codec_context.time_base = Fraction(1, _CLOCK)
        self.last = -1  # tick of the last picture
        self.source: Any = sound
        self.audio: Any = None
        self.samples: int | None = None  # of sound encoded so far, counted from ``begin``
        if sound is not None:
            self.copied = sound.codec_context.name in _KEPT
            if self.copied:
                self.audio = output.add_stream_from_template(sound)
            else:
                self.rate = sound.rate if sound.rate in _AAC_RATES else _AAC_RATES[0]
                layout = "mono" if sound.channels == 1 else "stereo"
                self.audio = output.add_stream("aac", rate=self.rate, layout=layout)
                self.resampler = AudioResampler(format="fltp", layout=layout, rate=self.rate)

    def picture(self, picture: Image.Image, seconds: float) -> None:
        """Append a picture that is shown from ``seconds`` of the source's clock on."""
        import av

        frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGB")), format="rgb24")
        # Two pictures of one time would not be taken.
        self.last = max(self.last + 1, round((seconds - self.begin) * _CLOCK))
        frame.pts, frame.time_base = self.last, Fraction(1, _CLOCK)
        self.output.mux(self.video.encode(frame))

    def sound(self, packet: "Packet[Any]") -> None:
        """Append a packet of the source's sound."""
        if self.copied:
            self._copy(packet)
            return
        if self.samples is None:
            start = (packet.pts or 0) * float(self.source.time_base) - self.begin
            self.samples = max(0, round(start * self.rate))
        self._encode(self.source.codec_context.decode(packet))

    def close(self) -> None:
        """Write what the encoders still hold."""
        self.output.mux(self.video.encode(None))
        if self.samples is not None:
            self._encode([*self.source.codec_context.decode(None), None])
            self.output.mux(self.audio.encode(None))

    def _encode(self, frames: "Sequence[AudioFrame | None]") -> None:
        """Encode what was decoded; None at the end."""
        for decoded in frames:
            if decoded is not None:
                decoded.pts = None  # counted in samples, whatever the source's clock
            for frame in self.resampler.resample(decoded):
                frame.pts, frame.time_base = self.samples, Fraction(1, self.rate)
                self.samples = (self.samples or 0) + frame.samples
                self.output.mux(self.audio.encode(frame))

    def _copy(self, packet: "Packet[Any]") -> None:
        if packet.dts is None or packet.pts is None:
            return
        shift = round(self.begin / float(self.source.time_base))
        packet.stream, packet.pts, packet.dts = self.audio, packet.pts - shift, packet.dts - shift
        self.output.mux(packet)


def _legible(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height within the bounds; H.264 wants even sides."""
    scale = min(max(1, math.ceil(SMALLEST / min(size))), LARGEST / max(size))
    width, height = (max(2, round(side * scale / 2) * 2) for side in size)
    return width, height
