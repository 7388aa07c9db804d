"""Wrong generators of data sets."""

import random

import pytest

from conformance_parts import only_failure
from copl_core.api import DataError
from copl_core.contracts import Generator
from copl_core.testing import check_generator


class Right(Generator):
    """Writes a list of numbers."""

    def write(self, out, *, videos, seed, workers):
        if out.exists() and not (out / "list.txt").exists():
            raise DataError(f"{out} holds something else")
        out.mkdir(exist_ok=True)
        if not (out / "list.txt").exists():
            (out / "list.txt").write_text(self.text(videos, seed))
        return f"{videos} videos in {out}"

    def text(self, videos, seed):
        return f"{videos} {seed}"


class Nothing(Right):
    """Writes nothing."""

    def write(self, out, *, videos, seed, workers):
        return "done"


class Chatty(Right):
    """Says too much."""

    def write(self, out, **settings):
        return super().write(out, **settings) + "\nand so on"


class Random(Right):
    """Draws without its seed."""

    def text(self, videos, seed):
        return str(random.random())


class Rewrites(Right):
    """Begins anew each time."""

    def write(self, out, **settings):
        if (out / "list.txt").exists():
            (out / "list.txt").write_text(self.text(settings["videos"], settings["seed"]))
        return super().write(out, **settings)


class Intrudes(Right):
    """Writes wherever it is told to."""

    def write(self, out, **settings):
        out.mkdir(exist_ok=True)
        if not (out / "list.txt").exists():
            (out / "list.txt").write_text(self.text(settings["videos"], settings["seed"]))
        return super().write(out, **settings)


class Overwrites(Right):
    """Refuses too late."""

    def write(self, out, **settings):
        if (out / "thesis.txt").exists():
            (out / "thesis.txt").unlink()
        return super().write(out, **settings)


@pytest.mark.parametrize(
    ("wrong", "start"),
    [
        (Nothing, "write: expected files in the folder, there are none"),
        (Chatty, "write: expected one line for people"),
        (Random, "seed: expected equal files from equal arguments, list.txt differ"),
        (Rewrites, "again: expected a complete data set to be left alone"),
        (Intrudes, "foreign folder: expected DataError"),
        (Overwrites, "foreign folder: expected a folder with something else to be left as it was"),
    ],
)
def test_wrong_generator_fails_at_its_point(wrong, start):
    assert only_failure(check_generator, wrong).startswith(start)


def test_right_generator_passes():
    check_generator(Right, videos=2)
