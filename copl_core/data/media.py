"""The clips of a data set, however they lie on disk."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from copl_core.api import ConfigError, DataError
from copl_core.data.audio import Downmix
from copl_core.data.cache import INDEX, read_cache_settings
from copl_core.data.clips import (
    EXTRACTED,
    SILENCE_HINT,
    Clip,
    Durations,
    Sampling,
    clip_of,
    ending_of,
    frame_times,
    list_folder,
)

MediaLayout = Literal["auto", "videos", "lavish", "dgsct", "cache"]
MissingAudio = Literal["refuse", "silence"]

#: Endings of raw video files, in any case.
VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv")


class MediaFolder:
    """The videos of a data set as they lie on disk: raw files, extracted frames and sound, or a prepared cache.

    | layout | frames | sound |
    |---|---|---|
    | ``videos`` | ``<videos>/<name>.<ext>`` | the same file |
    | ``lavish`` | ``video_frames/<name>/*.jpg`` | ``raw_audio/<name>.wav`` |
    | ``dgsct`` | ``frames/<name>/*.jpg`` | ``wave/<name>.npy`` or ``audio_wave/<name>.npy``, 32 kHz |
    | ``cache`` | ``clips/<name>.zip`` beside ``cache.json`` | the same file |

    Args:
        root: Folder that holds one of these.
        layout: Which one; ``auto`` takes the one that is there.
        videos: Folders below the root in which raw files may lie, beside the root itself.
        fps: Pictures a second at which frames were extracted, or would have been from raw files.
        sampling: Which T frames are taken. ``official``: of the n pictures that extraction at ``fps`` gives, those
            numbered ``int(linspace(1, n, T))``. ``seconds``: that in the middle of each second, the last one for
            seconds beyond the end.
        downmix: See ``AudioRecipe``.
        missing_audio: What becomes of clips without sound: an error, or zeros of the clip's duration.

    Attributes:
        extracted: Whether frames were extracted at a rate that nothing on disk tells.
        pieces: Whether sound is stored as one second for each frame (DG-SCT), and not as whole tracks.

    Raises:
        ConfigError: A setting is no such value.
        DataError: None of the layouts is there, or several for ``auto``, or a cache made with other settings.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        layout: MediaLayout = "auto",
        videos: Sequence[str] = ("videos",),
        fps: float = 1.0,
        sampling: Sampling = "official",
        downmix: Downmix = "mean",
        missing_audio: MissingAudio = "refuse",
    ) -> None:
        for what, value, known in (
            ("layout", layout, MediaLayout),
            ("sampling", sampling, Sampling),
            ("downmix", downmix, Downmix),
            ("missing_audio", missing_audio, MissingAudio),
        ):
            if value not in get_args(known):
                raise ConfigError(f"{what} is {value!r}: must be one of {', '.join(get_args(known))}")
        if not (math.isfinite(fps) and fps > 0):
            raise ConfigError(f"fps is {fps!r}: must be a finite number above 0")
        self.root = Path(root)
        self.fps = float(fps)
        self.sampling: Sampling = sampling
        self.downmix: Downmix = downmix
        self.missing_audio: MissingAudio = missing_audio
        self.video_folders = [self.root / folder for folder in dict.fromkeys((*videos, ""))]
        self._listings: dict[Path, dict[str, list[Path]]] = {}
        self.layout: str = self._detect(layout)
        self.extracted = self.layout in EXTRACTED
        self.pieces = self.layout == "dgsct"
        if self.layout == "cache":
            self._read_cache_settings()

    def describe(self) -> str:
        """One line for people: what was found where."""
        if self.layout == "videos":
            folders = [folder for folder in self.video_folders if _holds_videos(folder)]
            return f"raw videos in {', '.join(map(str, folders))}"
        if self.layout == "cache":
            settings = read_cache_settings(self.root)
            return (
                f"prepared cache {self.root}: {settings.frames} frames to a clip, up to "
                f"{settings.size} pixels, sound up to {settings.sample_rate} Hz"
            )
        frames, sounds = EXTRACTED[self.layout]
        found = [str(self.root / sound) for sound in sounds if (self.root / sound).is_dir()]
        return f"extracted frames in {self.root / frames}, sound in {' or '.join(found) or 'no folder'}"

    def clip(self, name: str) -> Clip:
        """The clip of that name; does not touch the disk.

        Raises:
            DataError: It is no name of a clip but a way out of the folder.
        """
        if not name or "\0" in name or "\\" in name or name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise DataError(f"{name!r} is no name of a clip")
        return clip_of(self, name)

    def problem(self, name: str, misfit: Callable[[Durations], str | None] = lambda _: None) -> str | None:
        """What is wrong with a clip, naming the file and what to do; None if nothing is. Reads little of the files.

        Args:
            name: The clip's.
            misfit: Says what is wrong with a clip of these durations, and what to do.
        """
        try:
            clip = self.clip(name)
            found = misfit(clip.check())
        except DataError as error:
            return str(error)
        return None if found is None else f"{clip.where()}: {found}"

    def times(self, seconds: float, count: int) -> list[float]:
        """Seconds at which T pictures are taken of a video of this duration."""
        return frame_times(seconds, count, fps=self.fps, sampling=self.sampling)

    def video(self, name: str) -> Path:
        """The raw file of a clip.

        Raises:
            DataError: There is none, or several.
        """
        stem = PurePosixPath(name).name
        parents = [folder / PurePosixPath(name).parent for folder in self.video_folders]
        found = [path for parent in parents for path in self._listing(parent).get(stem, [])]
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(f"clip {name!r} has several videos: {', '.join(map(str, found))}; remove all but one")
        places = " or ".join(map(str, parents))
        kinds = ", ".join(ending[1:] for ending in VIDEOS)
        raise DataError(f"no video of clip {name!r} ({kinds}) in {places}; download it or leave this clip out")

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        """Videos of a folder by their names without ending. Read once: a data set asks for each of thousands."""
        if folder not in self._listings:
            listing: dict[str, list[Path]] = {}
            for name in sorted(list_folder(folder)):
                stem, ending = os.path.splitext(name)
                if ending.lower() in VIDEOS:
                    listing.setdefault(stem, []).append(folder / name)
            self._listings[folder] = listing
        return self._listings[folder]

    def _detect(self, layout: MediaLayout) -> str:
        if not self.root.is_dir():
            what = "is a file, not a folder" if self.root.exists() else "does not exist"
            raise DataError(f"media folder {self.root} {what}; set root to the folder that holds the videos")
        there = {
            "videos": any(_holds_videos(folder) for folder in self.video_folders),
            **{name: (self.root / frames).is_dir() for name, (frames, _) in EXTRACTED.items()},
            "cache": (self.root / INDEX).is_file(),
        }
        found = [name for name, is_there in there.items() if is_there]
        if layout == "auto" and len(found) > 1:
            raise DataError(f"{self.root} holds several layouts: {', '.join(found)}; set layout to the one to read")
        if not found or (layout != "auto" and layout not in found):
            raise DataError(self._nothing(layout))
        chosen = found[0] if layout == "auto" else layout
        if chosen in EXTRACTED and self.missing_audio == "refuse":
            self._check_sound_folder(chosen)
        return chosen

    def _nothing(self, layout: str) -> str:
        looked = {
            "videos": "video files in " + ", ".join(str(folder) for folder in self.video_folders),
            **{name: f"folder {self.root / frames}" for name, (frames, _) in EXTRACTED.items()},
            "cache": f"file {self.root / INDEX}",
        }
        wanted = looked if layout == "auto" else {layout: looked[layout]}
        lines = [f"no media in {self.root}; looked for:", *(f"  {name:7} {what}" for name, what in wanted.items())]
        return "\n".join([*lines, "set root to the folder that holds them, and videos or layout if they lie otherwise"])

    def _check_sound_folder(self, layout: str) -> None:
        frames, sounds = EXTRACTED[layout]
        if not any((self.root / sound).is_dir() for sound in sounds):
            places = " or ".join(str(self.root / sound) for sound in sounds)
            raise DataError(
                f"{self.root / frames} has frames, but there is no sound in {places}; extract it, {SILENCE_HINT}"
            )

    def _read_cache_settings(self) -> None:
        made = read_cache_settings(self.root)
        self.pieces = made.pieces
        for what in ("sampling", "fps", "downmix"):
            then, now = getattr(made, what), getattr(self, what)
            if then != now:
                raise DataError(
                    f"cache {self.root} was prepared with {what} {then}, the config says {now}: "
                    f"set {what}: {then}, or prepare the cache again"
                )


def _holds_videos(folder: Path) -> bool:
    return any(ending_of(name) in VIDEOS for name in list_folder(folder))
