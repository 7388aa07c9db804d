"""Writes MP4 files: moving pictures with a mono sound track."""

import os
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from copl_synth.sounds import SAMPLE_RATE

_BIT_RATE = 96_000  # bits a second of the sound track


def write_mp4(
    path: str | os.PathLike[str], pictures: NDArray[np.uint8], samples: NDArray[np.int16], *, fps: int, hold: int
) -> None:
    """Writes a video: H.264 (MPEG-4 Part 2 where PyAV lacks libx264) and AAC.

    One thread each, so that equal arguments give equal files.

    Args:
        path: File to write; an existing one is replaced.
        pictures: (N, H, W, 3) RGB, H and W even.
        samples: (S,) samples at 16 kHz.
        fps: Frames a second.
        hold: Frames each picture is shown for: the video has N * hold frames.
    """
    with av.open(os.fspath(path), "w", format="mp4") as container:
        if "libx264" in av.codecs_available:
            # Without its macroblock tree: that made one file in twenty differ from its twin, single thread or not.
            options = {"crf": "18", "preset": "veryfast", "mbtree": "0"}
            video = container.add_stream("libx264", rate=fps, options=options)
        else:
            video = container.add_stream("mpeg4", rate=fps, options={"qscale": "3", "flags": "+qscale"})
        video.height, video.width = pictures.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.gop_size = 2 * fps  # to be sought in: a reader never decodes more than two seconds to get one frame
        video.thread_count = 1
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono", options={"aac_coder": "fast"})
        audio.bit_rate = _BIT_RATE
        for index, picture in enumerate(pictures):
            shown = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            shown.time_base = Fraction(1, fps)
            for copy in range(hold):
                shown.pts = index * hold + copy
                container.mux(video.encode(shown))
        heard = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        container.mux(audio.encode(heard))
        container.mux(audio.encode())
        container.mux(video.encode())
