"""What the page shows: findings as bars and lanes, or one message."""

import html
import re
from pathlib import Path

import pytest

from copl_core.api import DataError
from copl_core.contracts import Finding, Prediction
from copl_core.serve.markup import message_html, result_html
from copl_core.serve.result import predict
from video_files import tone, write_video


class Made(Prediction):
    """A result with given findings, which draws a video, two pictures and parts of them."""

    def __init__(self, findings=()):
        self._findings = findings

    def findings(self):
        return self._findings

    def to_json(self):
        return {"made": True}

    def summary(self):
        return "  something & nothing"

    def draw(self, folder: Path):
        (folder / "parts").mkdir()
        files = [folder / name for name in ("overlay.mp4", "a.png", "b.png", "parts/c.png")]
        for file in files:
            file.write_bytes(b"drawn")
        return files


class Model:
    """Stands for a trained model: gives what it is told to, or raises it."""

    def __init__(self, result, answers_questions=False):
        self.result, self.answers_questions, self.asked = result, answers_questions, []

    def predict(self, video, *, question=None, progress=None):
        self.asked.append(question)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    return str(write_video(path, [i / 4 for i in range(8)], sound=tone(16000, 2)))


def none(done, count):
    """Nobody to tell."""


def test_events_lie_in_lanes_in_proportion_to_the_video() -> None:
    events = [Finding("dog", 0.9, (2.0, 5.0)), Finding("bell", 0.5, (5.0, 6.0)), Finding("dog", 0.4, (6.0, 8.2))]
    page = result_html(Made(events), 8.0)
    assert re.findall(r'class="label">(\w+)', page) == ["dog", "bell"]
    lengths = [tuple(map(float, pair)) for pair in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", page)]
    assert lengths == [(25.0, 37.5), (75.0, 25.0), (62.5, 12.5)]
    assert "2 to 5 s <b>90%</b>, 6 to 8.2 s <b>40%</b>" in page


def test_what_was_asked_stands_with_the_result(video) -> None:
    for answers, about in ((True, "clip.mp4: Who &amp; why?"), (False, "clip.mp4")):
        with predict(Model(Made([Finding("yes", 0.5)]), answers), video, "Who & why?", none) as shown:
            assert f'<p class="asked">{about}</p>' in shown.html
        with predict(Model(Made(), answers), video, "Who & why?", none) as shown:
            assert shown.html == message_html(f"{html.unescape(about)}\nsomething & nothing")


def test_answers_are_bars_under_the_likeliest() -> None:
    page = result_html(Made([Finding("yes", 0.625), Finding("no", 0.25)]), 8.0)
    assert '<p class="answer">yes</p>' in page
    assert re.findall(r"width:([\d.]+)%", page) == ["62.5", "25.0"]


def test_names_and_messages_are_text_not_markup() -> None:
    assert "<b>" not in result_html(Made([Finding("<b>x", 0.5), Finding("y", 0.5, (0, 1))]), 1.0).replace("<b>50%", "")
    assert message_html("<script>") == '<div class="note" role="status">&lt;script&gt;</div>'
    assert result_html(Made(), 8.0) == message_html("something & nothing")


def test_drawings_are_there_while_they_are_shown(video) -> None:
    with predict(Model(Made()), video, "ignored", none) as shown:
        assert Path(shown.video).name == "overlay.mp4"
        assert [Path(picture).name for picture in shown.pictures] == ["a.png", "b.png"]
        assert all(Path(file).exists() for file in (shown.video, *shown.pictures))
        assert shown.data == {"made": True}
    assert not Path(shown.video).parent.exists()


def test_only_models_that_answer_get_the_question(video) -> None:
    for answers, asked in ((False, None), (True, "Who?")):
        model = Model(Made(), answers)
        with predict(model, video, " Who? ", none):
            assert model.asked == [asked]


def test_what_is_missing_is_asked_for(video) -> None:
    model = Model(Made(), answers_questions=True)
    with predict(model, None, "", none) as shown:
        assert "Drop a video" in shown.html
    with predict(model, video, " ", none) as shown:
        assert "Ask a question" in shown.html
    assert model.asked == []


def test_a_bad_video_is_told_by_its_name_alone(video) -> None:
    with predict(Model(DataError(f"{video} is silent")), video, "", none) as shown:
        assert shown.html == '<div class="error" role="alert">clip.mp4 is silent</div>'
        assert shown.data is None


def test_a_defect_is_no_message_to_the_visitor(video) -> None:
    with pytest.raises(ZeroDivisionError), predict(Model(ZeroDivisionError()), video, "", none):
        pass
