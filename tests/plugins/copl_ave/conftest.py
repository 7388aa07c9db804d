"""A small AVE without videos."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ave_parts import FakeMedia, write_lists


@pytest.fixture
def lists(tmp_path) -> Path:
    return write_lists(tmp_path / "AVE_Dataset")


@pytest.fixture
def media(monkeypatch) -> Callable[..., list[FakeMedia]]:
    """Puts made-up media in the place of files: ``media(problems={...}, seconds={...})``.

    ``seconds`` are those of pictures and sound, ``pictures`` those of the pictures alone.
    """

    def install(problems=None, seconds=None, pictures=None, extracted=False, pieces=False) -> list[FakeMedia]:
        made: list[FakeMedia] = []

        def make(**settings) -> FakeMedia:
            fake = FakeMedia(**settings)
            fake.problems, fake.lengths = problems or {}, seconds or {}
            fake.pictures = pictures or {}
            fake.extracted, fake.pieces = extracted, pieces
            made.append(fake)
            return fake

        monkeypatch.setattr("copl_ave.dataset.MediaFolder", make)
        return made

    return install
