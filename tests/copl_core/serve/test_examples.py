"""Which videos the page offers."""

import pytest

from copl_core.api import DataError
from copl_core.serve.server import DEMO_SHOWN, EXAMPLES_SHOWN, find_examples


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(folder, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:02d}.mp4").touch()


def test_without_a_folder_some_clips_of_each_demo_are_offered(folder) -> None:
    assert find_examples(None) == []
    touch(folder / "data" / "demo" / "one" / "videos", 9)
    touch(folder / "data" / "demo" / "two" / "clips", 2)
    touch(folder / "data" / "other" / "videos", 1)
    frames = folder / "data" / "demo" / "three" / "frames"
    frames.mkdir(parents=True)
    (frames / "0.png").touch()

    names = [path.as_posix() for path in find_examples(None)]

    first = [f"data/demo/one/videos/{number:02d}.mp4" for number in range(DEMO_SHOWN)]
    assert names == [*first, "data/demo/two/clips/00.mp4", "data/demo/two/clips/01.mp4"]


def test_a_folder_that_is_named_is_offered_alone(folder) -> None:
    touch(folder / "data" / "demo" / "one" / "videos", 1)
    touch(folder / "mine", EXAMPLES_SHOWN + 3)
    assert [path.parent.name for path in find_examples(folder / "mine")] == ["mine"] * EXAMPLES_SHOWN
    with pytest.raises(DataError, match="no such file or folder"):
        find_examples(folder / "absent")
