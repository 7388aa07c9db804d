"""Freed blocks stay with the process, for the next step to use."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import resource, sys
from pathlib import Path
from copl_core.engine.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
import torch
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
block = torch.ones(5_000_000)
used = resident()
del block
print(used - resident())
"""


@pytest.mark.slow
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/statm").exists(), reason="glibc's allocator on Linux"
)
def test_a_freed_block_stays_with_the_process():
    given_back = {
        mode: int(subprocess.run([sys.executable, "-c", CODE, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("keep", "give")
    }
    assert given_back["give"] > 19_000_000
    assert abs(given_back["keep"]) < 1_000_000
