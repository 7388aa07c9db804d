"""What the page shows for a video: the result, or what is wrong with the video. Knows nothing of Gradio."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copl_core.api import CoplError
from copl_core.data import probe
from copl_core.data.clips import PICTURES
from copl_core.data.media import VIDEOS
from copl_core.engine.predict import Progress, TrainedModel
from copl_core.serve.markup import message_html, result_html


@dataclass(frozen=True)
class Shown:
    """What a visitor sees.

    Attributes:
        html: The result in words and bars, or a message.
        video: Drawn by the task, if it draws one.
        pictures: Drawn by the task.
        data: The result as plain data; None if there is none.
    """

    html: str
    video: str | None = None
    pictures: Sequence[str] = ()
    data: dict[str, Any] | None = None


@contextmanager
def predict(model: TrainedModel, path: str | None, question: str, progress: Progress) -> Iterator[Shown]:
    """Use a model on a video; what is wrong with it becomes a message. The files of the result go on exit.

    Args:
        model: The model.
        path: The video; None if there is none yet.
        question: For models that answer questions; others get none.
        progress: Told after each window.
    """
    asked = question.strip() if model.answers_questions else None
    if path is None or asked == "":
        yield Shown(message_html(wanted(model, path)))
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            shown = _show(model, Path(path), asked, Path(folder), progress)
        except CoplError as error:
            # A visitor knows the file's name, and need not know where it lies here.
            text = str(error).replace(str(path), Path(path).name)
            shown = Shown(message_html(text, is_error=True))
        yield shown


def wanted(model: TrainedModel, path: str | None) -> str:
    """What a visitor is to do next."""
    if path is None:
        return "Drop a video to begin."
    return "Ask a question about the video." if model.answers_questions else ""


def _show(model: TrainedModel, path: Path, question: str | None, folder: Path, progress: Progress) -> Shown:
    prediction = model.predict(path, question=question, progress=progress)
    # Files in folders below are parts of these.
    files = [file for file in prediction.save(folder) if file.parent == folder]
    videos = [str(file) for file in files if file.suffix in VIDEOS]
    pictures = [str(file) for file in files if file.suffix in PICTURES]
    html = result_html(prediction, probe(path).seconds, path.name if question is None else f"{path.name}: {question}")
    return Shown(html, videos[0] if videos else None, pictures, prediction.to_json())
