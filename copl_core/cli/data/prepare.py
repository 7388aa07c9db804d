"""copl data prepare: write a compact cache of what training reads of a data set's videos.

May be stopped or killed at any time: the same command goes on from there. Exit code 1 if a clip could not be made.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copl_core.cli.data.common import add_dataset_options, add_workers_option, dataset_factory, progress_bar

if TYPE_CHECKING:
    from copl_core.contracts import Dataset, Factory
    from copl_core.data import CacheSettings, MediaFolder, Problem

#: Problems shown.
SHOWN = 20


def add_parser(actions: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = actions.add_parser("prepare", help="write a compact cache of the videos", description=__doc__)
    add_dataset_options(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the cache")
    parser.add_argument("--size", type=int, default=256, help="largest height and width of pictures (%(default)s)")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG pictures, 1 to 95 (%(default)s)")
    parser.add_argument("--sample-rate", type=int, default=32000, help="largest rate of sound in Hz (%(default)s)")
    add_workers_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write, show how far it is, and say what to do next."""
    from copl_core.data import CacheSettings
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    registry = Registry(get_table())
    frames: int = registry.resolve("task", options.task).frames  # type: ignore[attr-defined]
    make = dataset_factory(options.task, options.root, options.cfg_options, registry)
    media, videos = _videos(make, options.task)
    settings = CacheSettings(
        frames=frames,
        sampling=media.sampling,
        fps=media.fps,
        downmix=media.downmix,
        pieces=media.pieces,
        size=options.size,
        quality=options.quality,
        sample_rate=options.sample_rate,
    )
    problems = _prepare(media, videos, options.out, settings, options.workers)
    for problem in problems[:SHOWN]:
        print(f"  {problem.where}  {problem.what}")
    if problems:
        print(f"{options.out}: {len(problems)} of {len(videos)} clips could not be made")
        return 1
    print(f"train from it with task.dataset.media: {options.out}")
    return 0


def _videos(make: "Factory[Dataset]", task: str) -> "tuple[MediaFolder, dict[str, str]]":
    """The videos of all splits as they lie on disk, and where each is listed first."""
    from copl_core.api import DataError
    from copl_core.data import MediaFolder
    from copl_core.data.survey import SPLITS

    videos: dict[str, str] = {}
    media = None
    for split in SPLITS:
        dataset = make(split=split)
        media = getattr(dataset, "media", None)
        if not isinstance(media, MediaFolder) or dataset.contents is None:
            raise DataError(f"data set {task} reads no videos, so there is nothing to prepare: train from it as it is")
        for row in dataset.contents.rows:
            videos.setdefault(row.video, row.where)
    assert media is not None  # there are splits
    return media, videos


def _prepare(
    media: "MediaFolder", videos: Mapping[str, str], out: Path, settings: "CacheSettings", workers: int
) -> "list[Problem]":
    from copl_core.data.prepare import prepare

    problems: list[Problem] = []
    size = made = kept = 0
    with progress_bar() as progress:
        bar = progress.add_task("clips", total=len(videos))
        for clip in prepare(media, videos, out, settings, workers=workers):
            if clip.problem is not None:
                problems.append(clip.problem)
            else:
                size, made, kept = size + clip.size, made + 1, kept + clip.kept
                whole = size / made * len(videos)
                progress.update(bar, description=f"clips, {_bytes(size)} of about {_bytes(whole)}")
            progress.advance(bar)
    print(f"{out}: {made} clips, {_bytes(size)}, of which {kept} were there before")
    return problems


def _bytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
