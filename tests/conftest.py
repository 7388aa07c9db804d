"""Fixtures shared by the whole suite."""

import os
import signal
from pathlib import Path

import pytest

# Two threads each: the suite's tensors are small, and spinning threads would slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# What a script starts in the background ignores Ctrl-C, and so does all it starts; tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# First-party plugins only, whatever else is installed; a test names those that it adds.
os.environ["COPL_LOAD_PLUGINS"] = ""
for _variable in ("COPL_DISABLE_PLUGINS", "COPL_STRICT_PLUGINS"):
    os.environ.pop(_variable, None)


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


def pytest_collection_modifyitems(items):
    """Tests marked ``cuda`` need a device; where there is none they say so instead of failing."""
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
