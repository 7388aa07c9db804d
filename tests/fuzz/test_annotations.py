"""The readers of annotations: AVE's lists, AVSBench's tables, MUSIC-AVQA's questions."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copl_ave.index import SECONDS
from copl_ave.index import load_index as load_ave
from copl_avqa.questions import Vocabulary, read_questions
from copl_avs.index import FOLDERS, MS3, S4
from copl_avs.index import load_index as load_avs
from copl_core.api import DataError
from copl_core.data import Problem
from fuzzing import ANYTHING, altered, damaged, fuzz, nothing_runs

ODD = (
    b"..",
    b"/",
    b"\\",
    b"\x00",
    b"\xff",
    b'"',
    b"\n",
    b"\r",
    b"\xef\xbb\xbf",
    "٣".encode(),
    "\u2028".encode(),
    b"-1",
)


def stays_below(path: Path, folder: Path) -> bool:
    """A name in a list must not lead out of the data set."""
    return ".." not in path.parts and folder in path.parents


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("annotations")


AVE = b"Category&VideoID&Quality&StartTime&EndTime\nDog&aaa&good&0&10\nCat&bbb&good&2&7\nDog&bbb&good&8&9\n"
AVE_LIST = b"Dog&aaa&good&0&10\nCat&bbb&good&2&7\n"
AVE_TOKENS = (b"&", b"&&", b"&0&0", b"&good&3&2", b"11", b"Cow", *ODD)


@fuzz
@given(annotated=damaged(AVE, AVE_TOKENS), listed=damaged(AVE_LIST, AVE_TOKENS))
@example(annotated=AVE, listed=b"Dog&../../x&good&0&10")
@example(annotated=AVE, listed="Dog&aaa&good&٣&10".encode())
@example(annotated=AVE, listed=b"Dog&aaa&good&" + b"9" * 5000 + b"&10")
def test_ave(folder, annotated, listed):
    (folder / "Annotations.txt").write_bytes(annotated)
    (folder / "trainSet.txt").write_bytes(listed)
    with nothing_runs():
        try:
            index = load_ave(str(folder), "train")
        except DataError as error:
            assert str(error)  # noqa: PT017  # one of many cases
            return
    assert all(isinstance(problem, Problem) and problem.where and problem.what for problem in index.problems)
    for clip in index.clips:
        assert len(clip.labels) == SECONDS
        assert all(0 <= label < len(index.classes) for label in clip.labels)
        assert stays_below(folder / f"{clip.event.name}.mp4", folder)


AVS_TABLES = {
    "S4": b"name,category,split\naaa_0_5000,dog,train\nbbb_0_5000,cat,val\nccc,dog,test\n",
    "MS3": b"vid,start,split\naaa,0,train\nbbb,1,val\nccc,2,test\n",
}
AVS_TOKENS = (b",", b",,", b"split", b"category", b"train", b"\n\n", *ODD)


@pytest.mark.parametrize("subset", [S4, MS3], ids=["s4", "ms3"])
@fuzz
@given(data=st.data())
def test_avs(folder, subset, data):
    (folder / subset.csv).write_bytes(data.draw(damaged(AVS_TABLES[subset.name], AVS_TOKENS)))
    for kind in FOLDERS:
        (folder / subset.data / kind).mkdir(parents=True, exist_ok=True)
    with nothing_runs():
        try:
            index = load_avs(str(folder), "train", subset)
        except DataError as error:
            assert str(error)  # noqa: PT017
            return
    assert index.clips or index.problems
    for clip in index.clips:
        for path in (*clip.frames, clip.sound, *clip.masks):
            assert stays_below(path, folder / subset.data)


QUESTIONS = [
    {
        "video_id": "00000093", "question_id": 12, "type": '["Audio", "Counting"]', "anser": "two",
        "question_content": "How many instruments are <LR> ?", "templ_values": '["left"]', "question_deleted": 0,
    },
    {
        "video_id": "00000094", "question_id": 13, "type": '["Visual", "Location"]', "anser": "yes",
        "question_content": "Is there a <Object> in the video?", "templ_values": '["piano"]', "question_deleted": 0,
    },
]  # fmt: skip
AVQA_TOKENS = (b"null", b"1e999", b"NaN", b"[]", b"{}", b"\\ud800", b"<", b"?", b"[" * 40, *ODD)


def check_avqa(folder, content: bytes) -> None:
    path = folder / "avqa-train.json"
    path.write_bytes(content)
    with nothing_runs():
        try:
            questions, problems = read_questions(path)
        except DataError as error:
            assert str(error)  # noqa: PT017
            return
        vocabulary = Vocabulary.of(questions)
    assert all(problem.where and problem.what for problem in problems)
    assert len(set(vocabulary.words)) == len(vocabulary.words)
    for question in questions:
        assert set(question.words) <= set(vocabulary.words)
        assert question.answer in vocabulary.answers
        assert stays_below(folder / f"{question.video}.mp4", folder)


@fuzz
@given(content=damaged(json.dumps(QUESTIONS).encode(), AVQA_TOKENS))
@example(content=b"[" * 100_000)
@example(content=b"[" + b"9" * 5000 + b"]")
@example(content=json.dumps([{**QUESTIONS[0], "templ_values": "9" * 5000}]).encode())
def test_avqa_damaged(folder, content):
    check_avqa(folder, content)


@fuzz
@given(records=altered(QUESTIONS) | ANYTHING)
def test_avqa_altered(folder, records):
    check_avqa(folder, json.dumps(records).encode())
