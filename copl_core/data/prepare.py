"""Writing a prepared cache of a data set, many clips at once, in steps that a kill can't damage."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from copl_core.api import DataError
from copl_core.data.cache import CLIPS, CacheSettings, cached_clip, create_cache, write_cached_clip
from copl_core.data.media import MediaFolder
from copl_core.data.problems import Problem


@dataclass(frozen=True)
class Prepared:
    """A clip that is done with.

    Attributes:
        name: The clip's.
        size: Bytes of its file; 0 if it could not be made.
        kept: Whether the file was there from an earlier run.
        problem: Why there is none.
    """

    name: str
    size: int
    kept: bool = False
    problem: Problem | None = None


def prepare(
    media: MediaFolder, videos: Mapping[str, str], out: str | Path, settings: CacheSettings, *, workers: int
) -> Iterator[Prepared]:
    """Write the clips that a cache lacks, and read back each one.

    A clip's file appears whole or not at all, so after a kill the same call goes on where the first one stopped.
    Only one call may write to a cache at a time.

    Args:
        media: The videos as they are.
        videos: Where each video is listed, by its name; in this order.
        out: Folder of the cache.
        settings: Its settings.
        workers: Processes beside this one; 0 for none.

    Yields:
        A result for each clip, in order.

    Raises:
        DataError: There is another cache in ``out``, or it can't be written.
    """
    out = Path(out)
    if out.resolve() == media.root.resolve() and media.layout == "cache":
        raise DataError(f"{out} is the cache that is read from: name another folder")
    try:
        create_cache(out, settings)
        for left_over in (out / CLIPS).glob(".*.tmp"):
            left_over.unlink()
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror}") from error
    clips = _Clips(media, videos, out, settings.frames)
    # A loader's workers end when this process is gone, however it went.
    loader = DataLoader(
        clips, batch_size=None, num_workers=workers, multiprocessing_context="spawn" if workers else None
    )
    for result in loader:
        if isinstance(result, DataError):
            raise result
        yield result


class _Clips(torch.utils.data.Dataset[Prepared | DataError]):
    """Reading an item writes the clip."""

    def __init__(self, media: MediaFolder, videos: Mapping[str, str], out: Path, frames: int) -> None:
        self.media = media
        self.videos = list(videos.items())
        self.out = out
        self.frames = frames

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> Prepared | DataError:
        name, where = self.videos[index]
        try:
            if size := self._size_of_earlier(name):
                return Prepared(name, size, kept=True)
            return Prepared(name, self._write(name))
        except DataError as error:
            return Prepared(name, 0, problem=Problem(where, str(error)))
        except OSError as error:  # as a value: the loader would wrap it in the worker's traceback
            return DataError(f"cannot write to {self.out}: {error.strerror}; the same command goes on from here")

    def _size_of_earlier(self, name: str) -> int:
        """Bytes of an undamaged file from an earlier run; 0 if there is none."""
        clip = cached_clip(self.out, name)
        if not clip.path.is_file():
            return 0
        try:
            clip.verify()
        except DataError:
            return 0
        return os.path.getsize(clip.path)

    def _write(self, name: str) -> int:
        clip = self.media.clip(name)
        waveform, rate = clip.sound()
        # The folder gives zeros for a clip without sound where that is allowed. The cache says that there is none, so
        # that whoever trains from it has to allow it again.
        silent = self.media.missing_audio == "silence" and not waveform.any()
        path = write_cached_clip(
            self.out,
            name,
            clip.frames(self.frames),
            None if silent else waveform,
            rate,
            seconds=clip.seconds(),
            times=clip.times(self.frames),
        )
        written = cached_clip(self.out, name)
        written.verify()
        written.frames(self.frames)
        written.sound()
        return os.path.getsize(path)
