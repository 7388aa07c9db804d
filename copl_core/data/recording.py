"""A video of any length, read window by window."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from PIL import Image
from torch import Tensor

from copl_core.api import DataError
from copl_core.data.audio import Downmix
from copl_core.data.clips import PICTURES
from copl_core.data.media import VIDEOS
from copl_core.data.soundtrack import read_sound, read_sound_pieces
from copl_core.data.video import probe, read_frames

#: A recording up to so many times as long as a window is one window.
_TOLERANCE = 1.1


@dataclass(frozen=True)
class Window:
    """What a model sees of a recording at once.

    Attributes:
        start: Seconds from the recording's beginning.
        seconds: Length.
        seen: Seconds of it, counted from ``start``, that the window before has seen, too.
        whole: Whether it is the whole recording.
    """

    start: float
    seconds: float
    seen: float = 0.0
    whole: bool = False


class Recording:
    """A video file that a person wants to know something about, of any container and codec FFmpeg reads.

    Args:
        path: The file.
        downmix: See ``AudioRecipe``.
        shortest: Seconds; a shorter recording is refused.

    Attributes:
        path: The file.
        seconds: Duration of its pictures.

    Raises:
        DataError: It can't be read, is too short, or has no sound track.
    """

    def __init__(self, path: str | PathLike[str], *, downmix: Downmix = "mean", shortest: float = 1.0) -> None:
        self.path = Path(path)
        self.downmix: Downmix = downmix
        if self.path.is_dir():
            raise DataError(f"{self.path} is a folder: give one of its videos")
        info = probe(self.path)
        self.seconds = info.seconds
        if info.seconds < shortest:
            raise DataError(f"{self.path} lasts {info.seconds:.2f} s: too short, {shortest:g} s are needed")
        if info.rate is None:
            raise DataError(f"{self.path} has no sound track: what is heard is needed as much as what is seen")

    def windows(self, seconds: float) -> list[Window]:
        """Cut the recording into windows; the last one reaches back into the one before, so that all are full.

        A recording that is shorter than a window, or up to a tenth longer, is one window. Of others every whole second
        is covered; a rest of less than half a second is left out.

        Args:
            seconds: Length of a window, a whole number.
        """
        if self.seconds <= _TOLERANCE * seconds:
            return [Window(0.0, self.seconds, whole=True)]
        end = int(self.seconds + 0.5)
        count = -(-end // int(seconds))
        starts = [min(index * seconds, end - seconds) for index in range(count)]
        return [
            Window(float(start), seconds, seen=max(0.0, index * seconds - start)) for index, start in enumerate(starts)
        ]

    def frames(self, times: Sequence[float]) -> list[Image.Image]:
        """The RGB pictures shown at these seconds; the last one also after the end.

        Raises:
            DataError: The file is damaged.
        """
        return read_frames(self.path, times)

    def sounds(self, windows: Sequence[Window]) -> Iterator[tuple[Tensor, int]]:
        """Yield waveform (S,) in [-1, 1] and rate in Hz of windows in order, holding one at a time.

        That of a whole recording is its sound track as it is, others are as long as their window.

        Args:
            windows: Of one length.

        Raises:
            DataError: The file is damaged, or all its sound is digital silence.
        """
        if windows[0].whole:
            pieces: Iterator[tuple[Tensor, int]] = iter([read_sound(self.path, self.downmix)])
        else:
            starts = [window.start for window in windows]
            pieces = read_sound_pieces(self.path, starts, windows[0].seconds, self.downmix)
        heard = False
        for number, (waveform, rate) in enumerate(pieces, start=1):
            heard = heard or bool(waveform.any())
            if not heard and number == len(windows):
                raise DataError(f"{self.path} is silent: every sample of its sound track is 0")
            yield waveform, rate


def find_recordings(path: str | PathLike[str]) -> list[Path]:
    """A file as it is; of a folder its video files, sorted by name.

    Raises:
        DataError: There is nothing of that name, or no video in the folder.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise DataError(f"no such file or folder: {path}")
        return [path]
    try:
        files = sorted(each for each in path.iterdir() if each.is_file())
    except OSError as error:
        raise DataError(f"cannot read folder {path}: {error.strerror}") from error
    if videos := [each for each in files if each.suffix.lower() in VIDEOS]:
        return videos
    kinds = ", ".join(ending[1:] for ending in VIDEOS)
    hint = "; of extracted pictures, make a video first" if any(f.suffix.lower() in PICTURES for f in files) else ""
    raise DataError(f"no video ({kinds}) in folder {path}{hint}")
