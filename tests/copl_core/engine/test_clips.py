"""Which clips a run trains on is part of what it is."""

import pytest

from copl_core.api import DataError
from copl_core.contracts import Contents, Row
from copl_core.data import Problem
from copl_core.engine.clips import check_clips, describe_clips
from engine_parts import ToyClips


class Listed(ToyClips):
    """Clips of a list; ``unusable`` are those of its rows that were left out."""

    def __init__(self, names, *, folder="/data", unusable=()):
        super().__init__(split="train")
        self.contents_ = [Row(f"{folder}/list.txt:{line}", name, name) for line, name in enumerate(names, start=1)]
        self.skipped = [Problem(row.where, "no such file") for row in self.contents_ if row.video in unusable]

    def __len__(self):
        return len(self.contents_) - len(self.skipped)

    @property
    def contents(self):
        return Contents(rows=self.contents_, counts={})


THREE = ["a", "b", "c"]


@pytest.mark.parametrize(
    "same", [Listed(THREE, folder="/mnt/other"), Listed(["a", "gone", "b", "c"], unusable=["gone"])]
)
def test_the_same_clips_elsewhere_are_the_same(same):
    check_clips(describe_clips(Listed(THREE)), same)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Listed(["a", "c", "b"]), "3 clips then, now others, or in another order"),
        (Listed(["a", "b", "d"]), "3 clips then, now others, or in another order"),
        (Listed(["a", "b"]), "3 clips then, now 2"),
        (Listed(["a", "b", "c", "d"], unusable=["a"]), "3 clips then, now others, or in another order"),
    ],
)
def test_others_are_refused(other, told):
    with pytest.raises(DataError, match=told):
        check_clips(describe_clips(Listed(THREE)), other)


def test_a_data_set_that_tells_nothing_is_known_by_its_size():
    assert describe_clips(ToyClips(split="train")) == describe_clips(ToyClips(split="train"))
    with pytest.raises(DataError, match="11 clips then, now 5"):
        check_clips(describe_clips(ToyClips(split="train")), ToyClips(split="val"))
