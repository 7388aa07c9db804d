import json
import re
from pathlib import Path

import pytest

from copl_avqa.questions import Vocabulary, fill, questions_file, read_questions
from copl_core.api import ConfigError, DataError

from .conftest import TRAIN, record, write_questions


def one_problem(rewrite, **changes) -> str:
    """What is said about a record with some fields changed (None: removed), between two good ones."""
    bad = {key: value for key, value in {**TRAIN[1], **changes}.items() if value is not None}
    questions, problems = read_questions(path := rewrite("train", [TRAIN[0], bad, TRAIN[2]]))

    assert [question.number for question in questions] == [5, 7]
    assert [problem.where for problem in problems] == [f"{path}[1]"]
    return problems[0].what


def test_records_become_questions(root) -> None:
    questions, problems = read_questions(path := questions_file(root, "json_update", "train"))

    assert problems == []
    assert [(q.video, q.number, q.kind, q.answer) for q in questions] == [
        ("00000001", 5, "Audio Counting", "two"),
        ("-va2", 6, "Audio-Visual Existential", "no"),
        ("00000003", 7, "Visual Location", "yes"),
        ("00000001", 8, "Audio Comparative", "yes"),
    ]
    # A blank after the question mark, and a full-width question mark.
    assert [q.text for q in questions][1:3] == ["Is the piano always playing?", "Is the leftest left of the erhu?"]
    assert [q.where for q in questions][3] == f"{path}[3]"


def test_vocabulary_is_in_order_of_first_appearance(root) -> None:
    questions, _ = read_questions(questions_file(root, "json_update", "train"))

    vocabulary = Vocabulary.of(questions)

    assert " ".join(vocabulary.words) == (
        "<pad> How many musical instruments were heard Is the piano always playing leftest left of erhu louder"
    )
    assert vocabulary.answers == ("two", "no", "yes")


@pytest.mark.parametrize(
    ("content", "values", "words"),
    [
        ("Where is the <LL> instrument?", ["loudest"], "Where is the loudest instrument"),
        ("Is the <Object> on the <LR> more rhythmic than the <Object> on the <LR>? ", ["a", "b", "c", "d"],
         "Is the a on the b more rhythmic than the c on the d"),
        ("What is the <Object>\uff1f", ["bagpipe"], "What is the bagpipe"),
        ("Is the <Object>, there?", ["acoustic_guitar"], "Is the acoustic_guitar there"),
        ("No mark", [], "No mark"),
    ],
)  # fmt: skip
def test_templates_are_filled_from_left_to_right(content: str, values: list[str], words: str) -> None:
    assert " ".join(fill(content, values)) == words


def test_value_of_two_words_stays_one() -> None:
    assert fill("Is the <Object> loud?", ["grand piano"]) == ("Is", "the", "grand piano", "loud")


@pytest.mark.parametrize(("values", "count"), [([], 0), (["a", "b"], 2)])
def test_too_few_and_too_many_values(rewrite, values: list[str], count: int) -> None:
    what = one_problem(rewrite, templ_values=json.dumps(values))

    assert f"templ_values holds {count} values" in what
    assert "'Is the <Object> always playing?' has 1 slots" in what


@pytest.mark.parametrize("field", ["video_id", "question_id", "type", "question_content", "templ_values", "anser"])
def test_missing_field(rewrite, field: str) -> None:
    assert one_problem(rewrite, **{field: None}) == f"no field {field}; add it or remove the record"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video_id": "../x"}, "video_id '../x' is no name of a video"),
        ({"video_id": 7}, "video_id is 7: expected a text"),
        ({"question_id": "6"}, "question_id is '6': expected a whole number"),
        ({"anser": "  "}, "anser is '  ': expected a text"),
        ({"type": '["Audio", "Temporal"]'}, "type is ['Audio', 'Temporal']: must be one of Audio Counting, "),
        ({"type": "Audio"}, "type is 'Audio': expected a JSON list"),
        ({"type": '["Audio", 1]'}, "type is ['Audio', 1]: expected a list of texts"),
        ({"templ_values": "__import__('os')"}, "templ_values is \"__import__('os')\": expected a JSON list"),
        ({"question_content": " ? ", "templ_values": "[]"}, "question_content '?' holds no word"),
    ],
)
def test_malformed_field(rewrite, changes: dict, message: str) -> None:
    assert message in one_problem(rewrite, **changes)


def test_list_that_is_no_string_is_read_too(rewrite) -> None:
    plain = {**TRAIN[1], "type": ["Audio-Visual", "Existential"], "templ_values": ["piano"]}

    assert read_questions(rewrite("train", [plain]))[0][0].words == ("Is", "the", "piano", "always", "playing")


def test_record_that_is_none(rewrite) -> None:
    questions, problems = read_questions(rewrite("train", [["x"], TRAIN[0]]))

    assert len(questions) == 1
    assert "expected a record of fields, got ['x']" in problems[0].what


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ("[]", "the list of questions is empty"),
        ('{"a": 1}', "expected a list of questions, got {'a': 1}"),
        ('[{"a": 1},\n oops]', ":2: not JSON"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff\xfe", "not a text file in UTF-8"),
    ],
)
def test_file_that_can_t_be_used(rewrite, content, message: str) -> None:
    path = rewrite("train", content)

    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_questions(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("folder", ["json_update", "data/json_update", "."])
def test_questions_are_found_in_three_places(tmp_path: Path, folder: str) -> None:
    write_questions(tmp_path / folder, val=[record("a", 1, ("Audio", "Counting"), "How?", [], "one")])

    assert questions_file(tmp_path, "json_update", "val") == tmp_path / folder / "avqa-val.json"


def test_editions_are_kept_apart(tmp_path: Path) -> None:
    for edition in ("json", "json_update"):
        write_questions(tmp_path / "data" / edition, val=TRAIN)

    assert questions_file(tmp_path, "json", "val").parent.name == "json"
    assert questions_file(tmp_path, "json_update", "val").parent.name == "json_update"


def test_other_edition_is_named(tmp_path: Path) -> None:
    write_questions(tmp_path / "data/json", val=TRAIN)

    with pytest.raises(DataError, match=r"edition json only; set task\.dataset\.edition to json"):
        questions_file(tmp_path, "json_update", "val")


def test_questions_that_are_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no questions of split 'test'; looked for") as caught:
        questions_file(tmp_path, "json", "test")
    for folder in ("json", "data/json", "."):
        assert str(tmp_path / folder / "avqa-test.json") in str(caught.value)


def test_directory_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "json" / "avqa-val.json").mkdir(parents=True)

    with pytest.raises(DataError, match=r"avqa-val\.json is a directory, not a file"):
        questions_file(tmp_path, "json", "val")


def test_unknown_split_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="split is 'dev': must be one of train, val, test"):
        questions_file(tmp_path, "json", "dev")
