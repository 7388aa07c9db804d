import pytest

from ave_parts import HEADER, ROWS, write_lists
from copl_ave.index import load_index
from copl_core.api import ConfigError, DataError

CLASSES = ("Church bell", "Male speech, man speaking", "Bark", "background")
OTHER = ["a&v1&good&0&10", "b&v2&good&0&10"]


def message(root, split: str = "train") -> str:
    with pytest.raises(DataError) as caught:
        load_index(str(root), split)
    return str(caught.value)


def write(folder, annotated: str, train: str) -> None:
    (folder / "Annotations.txt").write_text(annotated)
    (folder / "trainSet.txt").write_text(train)


@pytest.mark.parametrize("split", ROWS)
def test_labels_are_those_of_the_interval_without_its_end(lists, split: str) -> None:
    index = load_index(str(lists), split)

    assert index.classes == CLASSES
    assert not index.problems
    assert len(index.clips) == len(ROWS[split])
    for line, (clip, row) in enumerate(zip(index.clips, ROWS[split], strict=True), start=1):
        category, name, _, start, end = row.split("&")
        assert (clip.event.category, clip.event.name) == (category, name)
        assert clip.where == f"{lists}/{split}Set.txt:{line}"
        expected = [len(CLASSES) - 1] * 10
        for second in range(int(start), int(end)):
            expected[second] = CLASSES.index(category)
        assert list(clip.labels) == expected


def test_event_of_no_length_is_background_throughout(lists) -> None:
    assert load_index(str(lists), "train").clips[2].labels == (3,) * 10


@pytest.mark.parametrize("header", ["", HEADER, "\ufeff" + HEADER, "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n"])
def test_published_forms_of_the_lists_mean_the_same(tmp_path, header: str, newline: str, last: str) -> None:
    plain = load_index(str(write_lists(tmp_path / "a")), "train")

    other = load_index(str(write_lists(tmp_path / "b", header=header, newline=newline, last=last)), "train")

    assert other.classes == plain.classes
    assert [(clip.event, clip.labels) for clip in other.clips] == [(clip.event, clip.labels) for clip in plain.clips]


def test_classes_are_numbered_by_the_list_of_all_clips(lists) -> None:
    write(lists, "z&v1&good&0&1\nä&v2&good&0&1\nz&v3&good&0&1\nb&v4&good&0&1\n", "b&v4&good&0&1\nz&v1&good&0&1\n")

    index = load_index(str(lists), "train")

    assert index.classes == ("z", "ä", "b", "background")
    assert [clip.labels[0] for clip in index.clips] == [2, 0]


@pytest.mark.parametrize("below", ["", "data", "AVE_Dataset", "AVE", "data/AVE"])
def test_root_may_be_a_parent(tmp_path, below: str) -> None:
    (tmp_path / "AVE").mkdir(exist_ok=True)  # a folder of videos is not the one
    folder = write_lists(tmp_path / below)

    assert load_index(str(tmp_path), "val").folder == folder


def test_video_may_have_two_rows(lists) -> None:
    write(lists, "a&v&good&0&5\nb&v&good&0&5\n", "b&v&good&0&5\na&v&good&0&5\n")

    assert [clip.labels[0] for clip in load_index(str(lists), "train").clips] == [1, 0]


def test_missing_data_set_names_every_list_and_the_way_out(tmp_path) -> None:
    root = tmp_path / "nowhere"

    assert message(root, "val").splitlines() == [
        f"data set AVE: looked in {root} (no such folder); missing:",
        f"  Annotations.txt (list of all clips): looked for {root}/Annotations.txt",
        f"  valSet.txt      (list of the val split): looked for {root}/valSet.txt",
        "get AVE_Dataset.zip by the link on https://github.com/YapengTian/AVE-ECCV18, unpack it,",
        "and set task.dataset.root to the folder that holds Annotations.txt, or to a parent of it,",
        "or try the built-in demo first: make demo TASK=ave  (configs/demo/ave_swin_nano_shared.yaml)",
    ]


@pytest.mark.parametrize("name", ["Annotations.txt", "trainSet.txt"])
def test_one_missing_list_is_the_only_one_named(lists, name: str) -> None:
    (lists / name).unlink()

    lines = message(lists.parent).splitlines()

    assert lines[0] == f"data set AVE: looked in {lists.parent} (found it incomplete); missing:"
    assert lines[1].startswith(f"  {name} ")
    assert lines[1].endswith(f"looked for {lists / name}")
    assert lines[2].startswith("get ")


@pytest.mark.parametrize("name", ["Annotations.txt", "trainSet.txt"])
def test_a_directory_in_the_place_of_a_list_is_told_as_such(lists, name: str) -> None:
    (lists / name).unlink()
    (lists / name).mkdir()

    assert message(lists.parent).splitlines()[1].endswith(f"{lists / name} is a directory, not a file")


def test_root_that_is_a_file_is_told(lists) -> None:
    assert "(no folder); missing:" in message(lists / "valSet.txt")


def test_lists_of_other_splits_are_not_needed(lists) -> None:
    (lists / "testSet.txt").unlink()

    assert load_index(str(lists), "train").clips


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a&v1&good&0", "expected 5 columns separated by '&' (Category&VideoID&Quality&StartTime&EndTime), found 4"),
        ("a&v1&good&0&10&x", "found 6"),
        ("just words", "found 1"),
        ("a&v1&good&0.5&10", "start is '0.5': must be a whole number of seconds from 0 to 10"),
        ("a&v1&good&-1&10", "start is '-1': must be"),
        ("a&v1&good&0&11", "end is '11': must be"),
        ("a&v1&good&0&", "end is '': must be"),
        ("a&v1&good&²&3", "start is '²': must be"),
        ("a&v1&good&7&3", "the event ends at 3, before its start at 7"),
        ("&v1&good&0&10", "the category is empty"),
        ("a&&good&0&10", "'' is no name of a video"),
        ("a&../v1&good&0&10", "'../v1' is no name of a video"),
        ("c&v1&good&0&10", "class 'c' is not in Annotations.txt, which has v1: a, 0 to 10"),
        ("c&v9&good&0&10", "class 'c' is not in Annotations.txt"),
        ("a&v9&good&0&10", "this row is not in Annotations.txt"),
        ("a&v1&good&0&9", "this row is not in Annotations.txt, which has v1: a, 0 to 10"),
        ("b&v1&good&0&10", "this row is not in Annotations.txt, which has v1: a, 0 to 10"),
    ],
)
def test_row_of_a_split_that_is_wrong_is_told_and_left_out(lists, row: str, expected: str) -> None:
    write(lists, "\n".join(OTHER), f"{OTHER[1]}\n{row}\n")

    index = load_index(str(lists), "train")

    assert [clip.event.name for clip in index.clips] == ["v2"]
    (problem,) = index.problems
    assert problem.where == f"{lists}/trainSet.txt:2"
    assert expected in problem.what


def test_wrong_row_of_the_list_of_all_clips_counts_for_the_split_that_has_the_video(lists) -> None:
    write(lists, "a&v1&good&7&3\nb&v2&good&0&99\n", "a&v1&good&0&3\n")

    index = load_index(str(lists), "train")

    assert [problem.where for problem in index.problems] == [f"{lists}/Annotations.txt:1", f"{lists}/trainSet.txt:1"]
    assert index.classes == ("a", "b", "background")


def test_list_of_all_clips_with_a_row_that_is_none_is_refused_whole(lists) -> None:
    write(lists, "a&v1&good&0&10\nnothing\nb&v2&good&0\n", "a&v1&good&0&10\n")

    lines = message(lists).splitlines()

    assert f"{lists}/Annotations.txt:2" in lines[1]
    assert f"{lists}/Annotations.txt:3" in lines[2]


@pytest.mark.parametrize("name", ["Annotations.txt", "trainSet.txt"])
@pytest.mark.parametrize("content", [b"", b"\n\n", HEADER.encode()])
def test_empty_list_is_told(lists, name: str, content: bytes) -> None:
    (lists / name).write_bytes(content)

    assert message(lists).startswith(f"{lists / name}:1: the file holds no rows")


@pytest.mark.parametrize("name", ["Annotations.txt", "trainSet.txt"])
def test_list_that_is_no_text_is_told(lists, name: str) -> None:
    (lists / name).write_bytes(b"Church bell&\xff\xfe")

    assert message(lists).startswith(f"{lists / name}: not a text file in UTF-8")


def test_unknown_split_is_a_config_error(lists) -> None:
    with pytest.raises(ConfigError, match="split is 'dev': must be one of train, val, test"):
        load_index(str(lists), "dev")
