"""Runs killed at random moments end as runs that nobody killed; ``make torture`` does the same for longer."""

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest


@pytest.fixture
def torture(repository):
    spec = spec_from_file_location("torture", repository / "tools" / "torture.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_killed_runs_end_as_whole_runs_do(repository):
    command = [sys.executable, "tools/torture.py", "--kills", "12", "--seed", "1"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kills, last = re.findall(r"kill|terminate", done.stdout), done.stdout.splitlines()[-1]
    assert len(kills) >= 12
    assert "all equal, nothing lost" in last


def test_a_difference_is_found(torture, tmp_path):
    """Two runs of other seeds leave other tensors, and the comparison names them."""
    from engine_parts import train_toy

    for name, rate in (("a", 1e-2), ("b", 2e-2)):
        train_toy(tmp_path / name, head_lr=rate)
    first, second = torture.digests(tmp_path / "a"), torture.digests(tmp_path / "b")
    with pytest.raises(SystemExit, match=r"not the same: .*head\.safetensors.*state"):
        torture.compare(first, second, {}, [])
    torture.compare(first, dict(first), {}, [])


def test_points_lie_in_the_middle_of_a_file(torture, tmp_path, monkeypatch):
    reached = []
    points = torture.WritePoints(lambda: reached.append((tmp_path / "file").stat().st_size), 1)
    monkeypatch.setattr(torture.time, "sleep", lambda seconds: None)
    with (tmp_path / "file").open("wb") as file:
        torture.HalfWriter(file, points).write(b"0123456789")
    assert reached == [5]
    assert (tmp_path / "file").read_bytes() == b"0123456789"
