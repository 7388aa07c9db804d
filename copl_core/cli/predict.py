"""copl predict: use exported prompts on any video."""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copl_core.cli.common import add_cfg_options

if TYPE_CHECKING:
    from copl_core.engine.predict import Progress, TrainedModel

#: Of the files of a result so many are named.
FILES_SHOWN = 3


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("predict", help="use exported prompts on videos", description=__doc__)
    parser.add_argument("prompts", metavar="PROMPTS", type=Path, help="an export folder or its prompts.safetensors")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", type=Path, help="a video file or a folder of them")
    parser.add_argument("--question", help="what to answer, for tasks that answer questions")
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="default: predictions")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add_cfg_options(
        parser, "where files lie here that the export names, e.g. encoders.audio.weights=weights/HTSAT.ckpt"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at all inputs, then predict one by one; one that can't be used is told and costs none of the others.

    Returns:
        0, or 2 if an input could not be used.
    """
    from copl_core.api import CoplError
    from copl_core.data import find_recordings
    from copl_core.engine.predict import load

    model = load(options.prompts, device=options.device, options=options.cfg_options)
    told: set[str] = set()
    usable: list[Path] = []
    # What is wrong with the last input should not have to wait for hours of the others.
    for path in options.inputs:
        try:
            videos = find_recordings(path)
        except CoplError as error:
            _tell(error, told)
            continue
        for video in videos:
            try:
                model.check(video, question=options.question)
                usable.append(video)
            except CoplError as error:
                _tell(error, told)
    for video in usable:
        try:
            _predict(model, video, options.question, options.out)
        except CoplError as error:
            _tell(error, told)
    return 2 if told else 0


def _tell(error: Exception, told: set[str]) -> None:
    """Tell what is wrong with an input, once: what is wrong with the question is wrong for every video."""
    message = str(error)
    if message not in told:
        print(f"copl predict: {message}", file=sys.stderr)
        told.add(message)


def _predict(model: "TrainedModel", video: Path, question: str | None, out: Path) -> None:
    """Predict a video, print the result and save it in a new folder."""
    with _progress(video.name) as progress:
        prediction = model.predict(video, question=question, progress=progress)
        folder = _new_folder(out, video.stem)
        try:
            files = prediction.save(folder)
        except BaseException:
            shutil.rmtree(folder)  # made above, and half a result looks like a whole one
            raise
    print(f"{video}\n{prediction.summary()}")
    _print_files(files)


def _print_files(files: Sequence[Path]) -> None:
    shown = [*files[: FILES_SHOWN - 1], files[-1]] if len(files) > FILES_SHOWN else files
    for file in shown:
        print(f"  {file}")
    if len(files) > len(shown):
        print(f"  and {len(files) - len(shown)} more beside them")


def _new_folder(out: Path, name: str) -> Path:
    """A folder of that name below ``out``, numbered if there is one already: earlier results stay.

    Raises:
        DataError: It can't be made.
    """
    from copl_core.api import DataError

    folder, number = out / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.is_dir():
                raise DataError(f"cannot write to {out}: {folder} is a file") from None
            number += 1
            folder = out / f"{name}-{number}"
        except OSError as error:
            raise DataError(f"cannot write to {out}: {error.strerror}") from error


@contextmanager
def _progress(name: str) -> "Iterator[Progress]":
    """A bar over the windows of a video, then one while the result is drawn, on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[step]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None, step="reading")

        def update(done: int, count: int) -> None:
            bar.update(task, completed=done, total=count, step=f"window {done} of {count}")
            if done == count:
                # How long it takes nobody knows: a bar that moves, and the time so far.
                bar.remove_task(task)
                bar.add_task(name, total=None, step="drawing")

        yield update
