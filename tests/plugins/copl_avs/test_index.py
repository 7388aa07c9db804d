import re

import pytest

from copl_avs.index import load_index
from copl_core.api import DataError
from copl_core.data import Problem, ProblemsError

HEADER = "name,start,category,split\n"


def message(root, split: str = "val") -> str:
    with pytest.raises(DataError) as caught:
        load_index(str(root), split)
    return str(caught.value)


def test_complete_data_set_is_accepted(s4) -> None:
    indices = [load_index(str(s4), split) for split in ("train", "val", "test")]

    assert [len(index.clips) for index in indices] == [2, 1, 1]
    assert not any(index.problems for index in indices)


def test_missing_data_set_names_every_part_and_the_way_out(tmp_path) -> None:
    root = tmp_path / "nowhere"

    assert message(root).splitlines() == [
        f"data set AVSBench S4: looked in {root} (no such folder); missing:",
        f"  s4_meta_data.csv (list of clips): looked for {root}/s4_meta_data.csv",
        f"  visual_frames (frames, PNG): looked for {root}/s4_data/visual_frames",
        f"  audio_wav     (sound, WAV): looked for {root}/s4_data/audio_wav",
        f"  gt_masks      (masks, PNG): looked for {root}/s4_data/gt_masks",
        "get it from https://github.com/OpenNLPLab/AVSBench (request form on that page; choose the Single-source (S4) "
        "subset), unpack it,",
        "and set task.dataset.root to the folder that holds s4_meta_data.csv, or to a parent of it,",
        "or try the built-in demo first: make demo  (configs/demo/avs_swin_nano_shared.yaml)",
    ]


@pytest.mark.parametrize("part", ["s4_meta_data.csv", "visual_frames", "audio_wav", "gt_masks"])
def test_one_missing_part_is_the_only_one_named(s4, part: str) -> None:
    path = s4 / part if part.endswith("csv") else s4 / "s4_data" / part
    path.rename(s4 / "gone")

    lines = message(s4.parent).splitlines()

    assert lines[0] == f"data set AVSBench S4: looked in {s4.parent} (found it incomplete); missing:"
    assert re.fullmatch(rf"  {part} +\(.*\): looked for {path}", lines[1])
    assert lines[2].startswith("get it from")


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 1, "the file is empty"),
        (HEADER, 1, "no clips after the header"),
        ("name,start,category\na,1,c\n", 1, "no column 'split'; the columns are name, start, category"),
        ("name,start,kind,split\na,1,c,val\n", 1, "no column 'category'; the columns are name, start, kind, split"),
        (HEADER + 'b,1,c,val\na,1,"c,val\n', 3, "unexpected end of data"),
    ],
)
def test_list_that_cannot_be_read_is_refused_with_its_line(rewrite, text: str, line: int, expected: str) -> None:
    path = rewrite(text)

    with pytest.raises(ProblemsError) as caught:
        load_index(str(path.parent), "val")

    (problem,) = caught.value.problems
    assert problem.where == f"{path}:{line}"
    assert problem.what.startswith(expected)


@pytest.mark.parametrize(
    ("row", "split", "expected"),
    [
        ("b,1,c", "train", "3 fields, but the header has 4"),
        ("b,1,c,val,5", "val", "5 fields, but the header has 4"),
        (",1,c,val", "val", "'' is no name of a clip"),
        ("../a,1,c,test", "test", "'../a' is no name of a clip"),
        ("a,1,..,val", "val", "'..' is no category of a clip"),
        ("a,1,c,dev", "train", "split is 'dev': must be one of train, val, test"),
    ],
)
def test_a_malformed_row_is_a_problem_of_its_split(rewrite, row: str, split: str, expected: str) -> None:
    good = "".join(f"good_{each},1,c,{each}\n" for each in ("train", "val", "test"))
    path = rewrite(f"{HEADER}{row}\n{good}")

    indices = {each: load_index(str(path.parent), each) for each in ("train", "val", "test")}

    assert [clip.where for index in indices.values() for clip in index.clips] == [f"{path}:{n}" for n in (3, 4, 5)]
    assert {each: index.problems for each, index in indices.items()} == {
        each: [Problem(f"{path}:2", expected)] if each == split else [] for each in indices
    }


def test_an_empty_line_is_told_and_costs_no_clip(rewrite) -> None:
    path = rewrite(HEADER + "a,1,c,train\n\nb,1,c,val\n")

    assert load_index(str(path.parent), "train").problems == [Problem(f"{path}:3", "empty line; remove it", samples=0)]
    assert [clip.where for clip in load_index(str(path.parent), "val").clips] == [f"{path}:4"]


def test_split_without_a_row_is_told(rewrite) -> None:
    path = rewrite(HEADER + "a,1,c,train\n")

    assert message(path.parent).startswith(f"{path}: no clip of split 'val'")


def test_a_clip_that_is_listed_twice_is_there_twice(rewrite) -> None:
    path = rewrite(HEADER + "a,1,c,val\nb,1,c,val\na,2,c,val\n")

    assert [clip.name for clip in load_index(str(path.parent), "val").clips] == ["a", "b", "a"]


@pytest.mark.parametrize("part", ["s4_meta_data.csv", "gt_masks"])
def test_files_and_directories_in_each_other_s_place_are_told(s4, part: str) -> None:
    path = s4 / part if part.endswith("csv") else s4 / "s4_data" / part
    path.rename(s4 / "gone")
    path.mkdir() if part.endswith("csv") else path.touch()

    kind = "directory, not a file" if part.endswith("csv") else "file, not a directory"
    assert message(s4.parent).splitlines()[1].endswith(f"{path} is a {kind}")


def test_list_that_is_no_text(rewrite) -> None:
    path = rewrite("")
    path.write_bytes(b"name,category,split\n\xff\xfe\n")

    assert message(path.parent).startswith(f"{path}: not a text file in UTF-8")


def test_byte_order_mark_and_other_column_order(s4, rewrite) -> None:
    rewrite("\ufeffvid,split,extra,category\nghi_1,val,,race_car\n")

    (clip,) = load_index(str(s4), "val").clips
    assert (clip.name, clip.category) == ("ghi_1", "race_car")
