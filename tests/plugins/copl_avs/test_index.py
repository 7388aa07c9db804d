import re
import shutil

import pytest

from copl_avs.index import load_index
from copl_core.api import DataError

HEADER = "name,start,category,split\n"


def message(root, split: str = "val") -> str:
    with pytest.raises(DataError) as caught:
        load_index(str(root), split)
    return str(caught.value)


def test_complete_data_set_is_accepted(s4) -> None:
    assert [len(load_index(str(s4), split)) for split in ("train", "val", "test")] == [2, 1, 1]


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


def test_missing_files_are_counted(s4) -> None:
    shutil.rmtree(s4 / "s4_data/gt_masks/val/race_car/ghi_1")
    (s4 / "s4_data/audio_wav/val/race_car/ghi_1.wav").unlink()

    assert message(s4).splitlines() == [
        f"data set AVSBench S4: 6 of 11 files of this split are missing in {s4}:",
        "  s4_data/audio_wav/val/race_car/ghi_1.wav",
        *(f"  s4_data/gt_masks/val/race_car/ghi_1/ghi_1_{n}.png" for n in (1, 2, 3, 4)),
        "  and 1 more",
        "unpack the archive again, or download it again from https://github.com/OpenNLPLab/AVSBench;",
        f"to go on without these clips, remove their lines from {s4 / 's4_meta_data.csv'}",
    ]


def test_training_split_needs_only_the_first_mask(s4) -> None:
    (s4 / "s4_data/gt_masks/train/race_car/-abc_10000_15000/-abc_10000_15000_1.png").unlink()

    assert "1 of 14 files of this split are missing" in message(s4, "train")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ":1: the file is empty"),
        (HEADER, ":1: no clips after the header"),
        ("name,start,category\na,1,c\n", ":1: no column 'split'; the columns are name, start, category"),
        ("name,start,kind,split\na,1,c,val\n", ":1: no column 'category'; the columns are name, start, kind, split"),
        (HEADER + "a,1,c,val\n\nb,1,c,val\n", ":3: empty line; remove it"),
        (HEADER + "a,1,c,val\nb,1,c\n", ":3: 3 fields, but the header has 4"),
        (HEADER + "a,1,c,val,5\n", ":2: 5 fields, but the header has 4"),
        (HEADER + ",1,c,val\n", ":2: '' is no name of a clip"),
        (HEADER + "../a,1,c,val\n", ":2: '../a' is no name of a clip"),
        (HEADER + "a,1,..,val\n", ":2: '..' is no category of a clip"),
        (HEADER + "a,1,c,dev\n", ":2: split is 'dev': must be one of train, val, test"),
        (HEADER + "a,1,c,val\nb,1,c,val\na,2,c,val\n", ":4: clip 'a' is listed before, in line 2"),
        (HEADER + 'a,1,"c,val\n', ":2: unexpected end of data"),
        (HEADER + "a,1,c,train\n", ": no clip of split 'val'"),
    ],
)
def test_malformed_list_of_clips(rewrite, text: str, expected: str) -> None:
    path = rewrite(text)

    assert message(path.parent).startswith(f"{path}{expected}")


def test_list_that_is_no_text(rewrite) -> None:
    path = rewrite("")
    path.write_bytes(b"name,category,split\n\xff\xfe\n")

    assert message(path.parent).startswith(f"{path}: not a text file in UTF-8")


def test_byte_order_mark_and_other_column_order(s4, rewrite) -> None:
    rewrite("\ufeffvid,split,extra,category\nghi_1,val,,race_car\n")

    (clip,) = load_index(str(s4), "val")
    assert (clip.name, clip.category) == ("ghi_1", "race_car")
