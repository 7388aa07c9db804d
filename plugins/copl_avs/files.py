"""Are the files of AVSBench's clips there, and do they look as they should? Reads their headers only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import listdir
from pathlib import Path

from PIL import Image

from copl_avs.index import FRAMES, PAGE, Clip
from copl_core.api import DataError
from copl_core.data import check_wav

_AGAIN = f"unpack the archive again, download it again from {PAGE}, or remove this line"


class _BrokenFileError(Exception):
    """A file of a clip can't be used; the message says why."""


@dataclass(frozen=True)
class Look:
    """What was seen of the files.

    Attributes:
        broken: The clips that can't be used, each with what is wrong with it.
        mask_size: Width and height of most masks; None if none can be read.
    """

    broken: Mapping[Clip, str]
    mask_size: tuple[int, int] | None


def look_at(clips: Sequence[Clip], *, tolerance: float, silence: bool) -> Look:
    """Look at the headers of all files of some clips.

    A clip is broken whose files are missing or no images and sounds, whose sound has another length than its frames, or
    that has a mask of another size than most masks of these clips.

    Args:
        clips: The clips.
        tolerance: Seconds by which sound may be shorter or longer than ``FRAMES`` seconds.
        silence: Whether sound may be missing or shorter.
    """
    names = _Names()
    broken: dict[Clip, str] = {}
    sizes: dict[Clip, dict[Path, tuple[int, int]]] = {}
    for clip in dict.fromkeys(clips):
        try:
            heard = not silence or names.has(clip.sound)
            names.require((*clip.frames, *([clip.sound] if heard else []), *clip.masks))
            for frame in clip.frames:
                _image_size(frame)
            sizes[clip] = {path: _image_size(path) for path in clip.masks}
            if heard:
                _check_sound(clip.sound, tolerance=tolerance, silence=silence)
        except (_BrokenFileError, DataError) as error:
            broken[clip] = str(error)
    usual = Counter(size for masks in sizes.values() for size in masks.values()).most_common(1)
    for clip, masks in sizes.items():
        odd = next(((path, size) for path, size in masks.items() if size != usual[0][0]), None)
        if odd is not None and clip not in broken:
            path, size = odd
            broken[clip] = f"mask {path} is {show_size(size)}, most masks are {show_size(usual[0][0])}; {_AGAIN}"
    return Look(broken, usual[0][0] if usual else None)


def show_size(size: tuple[int, int]) -> str:
    """Width and height for people."""
    return f"{size[0]}x{size[1]}"


def _check_sound(path: Path, *, tolerance: float, silence: bool) -> None:
    """Refuse a sound that does not go with five frames, a second each."""
    seconds = check_wav(path)
    told = f"{path}: {seconds:.1f} s of sound for {FRAMES} s of frames; cut it anew, remove this line, "
    if seconds > FRAMES + tolerance:
        raise _BrokenFileError(f"{told}or raise task.dataset.tolerance")
    if seconds < FRAMES - tolerance and not silence:
        raise _BrokenFileError(f"{told}or set missing_audio: silence to fill it up")


class _Names:
    """Which files are there: one listing a folder instead of one look-up a file, as a split has some 25,000."""

    def __init__(self) -> None:
        self._listings: dict[Path, frozenset[str]] = {}

    def has(self, path: Path) -> bool:
        """Whether a file is there."""
        return path.name in self._listing(path.parent)

    def require(self, paths: Sequence[Path]) -> None:
        """Refuse missing files."""
        missing = [path for path in paths if not self.has(path)]
        if missing:
            rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise _BrokenFileError(
                f"{len(missing)} of its {len(paths)} files are missing: {missing[0]}{rest}; {_AGAIN}"
            )

    def _listing(self, folder: Path) -> frozenset[str]:
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]


def _image_size(path: Path) -> tuple[int, int]:
    """Width and height."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "a directory, not a file" if path.is_dir() else "not an image file, or a damaged one"
        raise _BrokenFileError(f"cannot read image {path}: {reason}; {_AGAIN}") from error
