"""Fixtures shared by the whole suite."""

import os
from pathlib import Path

import pytest

# Two threads each: the suite's tensors are small, and spinning threads would slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory):
    """A small set of generated scenes in the AVSBench-S4 layout."""
    from copl_synth.avs import AvsSettings, write_avs

    root = tmp_path_factory.mktemp("demo") / "avs"
    write_avs(root, AvsSettings(train=8, val=4, test=4, seed=1))
    return root


@pytest.fixture(scope="session")
def repository():
    """The root of the checkout."""
    return Path(__file__).parent.parent
