"""The sound track of a video file, in time with its pictures.

PyAV is imported on first use.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from copl_core.data.audio import Downmix
from copl_core.data.stages import stage
from copl_core.data.video import (
    FILE_CLOCK,
    SLACK,
    decode,
    first_ticks,
    open_video,
    shown_track,
    sound_track,
    video_error,
)

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, Packet
    from av.container import InputContainer

#: Seconds by which decoded sound may be off its time stamp before it is moved: stamps are rounded, to a hundredth of a
#: second and more in some containers.
JITTER = 0.05
#: Seconds at the start of a track that may be undecodable: a piece cut out of a longer file may lack what its first
#: samples are made of.
LOST = 0.1
#: Seconds that a file without a duration may have no sound; a time stamp beyond is damaged.
LONGEST_GAP = 3600.0


@stage("sound")
def read_sound(path: str | PathLike[str], downmix: Downmix = "mean") -> tuple[Tensor, int]:
    """Read the whole sound track of a file as one channel, in time with the pictures.

    Its first sample belongs to the moment at which the first picture is shown: sound from before is left out, and
    silence stands where the file has none, at the beginning or in between.

    Args:
        path: Any container and codec FFmpeg reads.
        downmix: See ``AudioRecipe``.

    Returns:
        The waveform (S,) in [-1, 1], float32, and its rate in Hz.

    Raises:
        DataError: The file is missing, damaged, or has no sound track.
    """
    parts, rates = zip(*_sound_parts(Path(path), downmix), strict=True)
    return torch.from_numpy(np.concatenate(parts)), rates[0]


def read_sound_pieces(
    path: str | PathLike[str], starts: Sequence[float], seconds: float, downmix: Downmix = "mean"
) -> Iterator[tuple[Tensor, int]]:
    """Read pieces of a sound track, keeping one piece in memory.

    Args:
        path: Any container and codec FFmpeg reads.
        starts: Seconds from the first picture at which pieces begin, in order; pieces may overlap.
        seconds: Length of a piece.
        downmix: See ``AudioRecipe``.

    Yields:
        A waveform for each start and its rate in Hz, as ``read_sound`` gives it; silence follows the end of the track.

    Raises:
        DataError: The file is missing, damaged, or has no sound track.
    """
    parts = _sound_parts(Path(path), downmix)
    part, rate = next(parts)
    held, begin = [part], 0  # what was read and is still needed, and the sample it begins with
    for start in starts:
        first, length = round(start * rate), round(seconds * rate)
        while begin + sum(map(len, held)) < first + length:
            following = next(parts, None)
            if following is None:
                break
            held.append(following[0])
            while held and begin + len(held[0]) <= first:
                begin += len(held.pop(0))
        piece = np.concatenate([*held, np.zeros(0, np.float32)])[max(0, first - begin) :][:length]
        yield torch.from_numpy(np.pad(piece, (0, length - len(piece)))), rate


def _sound_parts(path: Path, downmix: Downmix) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Yield a sound track's samples (S,) from the first picture on, with their rate: at least one part."""
    rate: int | None = None
    done = 0  # samples that were yielded
    with open_video(path) as container:
        track = sound_track(container)
        if track is None:
            raise video_error(path, "no audio track", hint="use a version with sound or leave this clip out")
        longest = container.duration / FILE_CLOCK + SLACK if container.duration else LONGEST_GAP
        for frame, time, lost in _frames(container, track):
            samples = _mono(frame, downmix)
            if not len(samples):
                continue
            if rate not in (None, frame.sample_rate):
                rates = " and ".join(map(str, sorted({rate, frame.sample_rate})))
                raise video_error(path, f"its sound changes between {rates} Hz")
            if not np.isfinite(samples).all():
                raise video_error(path, "its sound holds samples that are no numbers")
            rate = frame.sample_rate
            gap = 0 if time is None else round(time * rate) - done
            if gap > longest * rate or (lost and gap > (JITTER if done else LOST) * rate):
                raise video_error(path, f"damaged, there is no sound from {done / rate:.1f} to {time:.1f} s")
            if done and gap < -SLACK * rate:
                raise video_error(path, f"damaged, after {done / rate:.1f} s its sound goes back to {time:.1f} s")
            if not done or abs(gap) > JITTER * rate:
                if gap > 0:
                    yield np.zeros(gap, np.float32), rate
                samples = samples[max(0, -gap) :]
                done += max(0, gap)
            if len(samples):
                yield samples, rate
                done += len(samples)
    if not done:
        raise video_error(path, "its audio track holds no samples")


def _frames(container: "InputContainer", track: "AudioStream") -> "Iterator[tuple[AudioFrame, float | None, float]]":
    """Decode a sound track.

    Yields:
        A frame; its time in seconds from the first picture, None where the file doesn't tell; and whether there were
        packets before it that no frame came of.
    """
    clock = float(track.time_base or 0)
    start, packets = _from_first_picture(container, track)
    first: float | None = None
    begun = False
    silent = 0  # packets since the last frame
    for packet in packets:
        time = None if packet.pts is None else packet.pts * clock
        first = time if first is None else first
        tolerant = not begun and (first is None or time is None or time - first < LOST)
        silent += 1
        for frame in decode(track, packet, tolerant=tolerant):
            begun = True
            # Decoders may be one packet behind.
            yield frame, None if frame.pts is None else frame.pts * clock - start, silent > 2
            silent = 0


def _from_first_picture(
    container: "InputContainer", track: "AudioStream"
) -> "tuple[float, Iterator[Packet[AudioStream]]]":
    """Where a file's time begins, and the packets of a sound track.

    Returns:
        Seconds on the file's clock of the first picture, of the first sound if there are no pictures; all packets.
    """
    pictures = shown_track(container)
    packets: Iterator[Any] = container.demux([track] if pictures is None else [track, pictures])
    held: list[Any] = []
    start = 0.0
    for packet in packets:
        held.append(packet)
        if packet.stream.index == (pictures or track).index:
            start = first_ticks(packet) * float(packet.stream.time_base or 0)
            break
    return start, (packet for packet in chain(held, packets) if packet.stream.index == track.index)


def _mono(frame: "AudioFrame", downmix: Downmix) -> NDArray[np.float32]:
    samples: NDArray[Any] = frame.to_ndarray()  # (channels, S), or (1, S * channels) if they alternate
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        samples = samples / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    mono: NDArray[np.float32] = samples.mean(axis=0, dtype=np.float32) if downmix == "mean" else samples[0]
    return mono.astype(np.float32)
