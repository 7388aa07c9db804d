"""Small video files whose pictures tell their number."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

#: Bars of a picture, each one bit of its number.
BITS = 10
WIDTH, HEIGHT = 16 * BITS, 64


def numbered(number: int) -> np.ndarray:
    """A picture (HEIGHT, WIDTH, 3) of vertical bars, white where the number has a bit, the highest at the left."""
    bits = [(number >> bit) & 1 for bit in reversed(range(BITS))]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 215 + 20, WIDTH // BITS)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number_of(image: Image.Image) -> int:
    """The number that a picture tells, of any size."""
    grey = np.asarray(image.convert("L").resize((WIDTH, HEIGHT)), dtype=float)
    bits = grey[8:-8].reshape(HEIGHT - 16, BITS, -1)[:, :, 4:-4].mean(axis=(0, 2)) > 128
    return int("".join(str(int(bit)) for bit in bits), 2)


def tone(rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    """Sound (channels, S): channel c is a tone of 300 (c + 1) Hz and amplitude 0.3."""
    time = np.arange(round(rate * seconds)) / rate
    return np.stack([0.3 * np.sin(2 * np.pi * 300 * (c + 1) * time) for c in range(channels)]).astype(np.float32)


def write_video(
    path: Path,
    times: Sequence[float] | None,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    sound: np.ndarray | None = None,
    rate: int = 16000,
    sound_codec: str = "aac",
    rotation: tuple[float, bool] | None = None,
    clock: int = 600,
    container_options: dict[str, str] | None = None,
    keys: Sequence[int] = (),
    sound_shift: Callable[[float], float] = lambda time: time,
) -> Path:
    """Write a video.

    Args:
        path: Its ending says which container.
        times: When each picture is shown, in seconds from 0; None for no picture track.
        codec: Of the pictures.
        options: Of the codec.
        pictures: RGB, one for each time; numbered ones if not given.
        sound: (channels, S) or None for no sound track.
        rate: Of the sound.
        sound_codec: Of the sound.
        rotation: Degrees counter-clockwise and whether it is mirrored.
        clock: Ticks a second of the picture track.
        container_options: Of the container.
        keys: Numbers of pictures that are made key frames.
        sound_shift: When sound of a given second is heard; it must not go back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(f"file:{path}", "w", options=container_options or {}) as container:
        if times is not None:
            track = container.add_stream(codec, rate=clock if codec != "mpeg4" else 25, options=options or {})
            pictures = [numbered(index) for index in range(len(times))] if pictures is None else pictures
            track.height, track.width = pictures[0].shape[:2]
            track.pix_fmt = "yuv420p"
            track.codec_context.time_base = Fraction(1, clock)
            if rotation is not None:
                track.set_display_rotation(rotation[0], hflip=rotation[1])
        if sound is not None:
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
            audio = container.add_stream(sound_codec, rate=rate, layout=layout)
            audio.bit_rate = 96000 * len(sound)
        if times is not None:
            for index, (time, picture) in enumerate(zip(times, pictures, strict=True)):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = round(time * clock), Fraction(1, clock)
                if index in keys:
                    frame.pict_type = av.video.frame.PictureType.I
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
        if sound is not None:
            size = audio.codec_context.frame_size or 1024
            form = {"aac": "fltp", "libopus": "flt", "pcm_s16le": "s16", "pcm_u8": "u8", "mp3": "s16p"}[sound_codec]
            for start in range(0, sound.shape[1], size):
                part = _in_form(sound[:, start : start + size], form)
                frame = av.AudioFrame.from_ndarray(part, format=form, layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(sound_shift(start / rate) * rate)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def _in_form(samples: np.ndarray, form: str) -> np.ndarray:
    if form.startswith("s16"):
        samples = np.round(samples * 32767).astype(np.int16)
    if form == "u8":
        samples = np.round(samples * 127 + 128).astype(np.uint8)
    return np.ascontiguousarray(samples if form.endswith("p") else samples.T.reshape(1, -1))
