"""Joining the ranks of a run; what the ranks then do together is tested in tests/dist."""

import os

import pytest
import torch

from copl_core.api import ConfigError, CoplError
from copl_core.engine import distributed
from copl_core.engine.distributed import gather, largest, launch, together, total, world_size

CPU = torch.device("cpu")
SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_NODELIST": "node[07-08]",
}
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def joined(monkeypatch):
    """An environment without a launcher; returns the backends that were started."""
    for name in (*SLURM, *TORCHRUN):
        monkeypatch.delenv(name, raising=False)
    started = []
    monkeypatch.setattr(distributed.dist, "init_process_group", started.append)
    yield started
    for name in TORCHRUN:
        os.environ.pop(name, None)


def test_none_trains_alone(joined):
    assert launch("none", CPU) == CPU
    assert joined == []


def test_torchrun_is_needed_for_pytorch(joined):
    with pytest.raises(ConfigError, match=r"RANK, WORLD_SIZE.* not set(.|\n)*torchrun --nproc-per-node"):
        launch("pytorch", CPU)


def test_slurm_becomes_what_torchrun_sets(joined, monkeypatch, tmp_path):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[07-08]" ] && printf "node07\\nnode08\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert launch("slurm", CPU) == CPU
    assert joined == ["gloo"]
    assert [os.environ[name] for name in TORCHRUN] == ["5", "8", "1", "node07", "23456"]


def test_slurm_without_its_environment_or_its_tools(joined, monkeypatch):
    with pytest.raises(ConfigError, match="SLURM_PROCID not set"):
        launch("slurm", CPU)
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="set MASTER_ADDR"):
        launch("slurm", CPU)


def test_more_processes_than_devices(joined, monkeypatch):
    for name in TORCHRUN:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"process 1 of this machine has no CUDA device: there are 1"):
        launch("pytorch", torch.device("cuda"))


def test_alone_every_rank_is_this_one():
    assert world_size() == 1
    assert largest([3, 1]) == [3, 1]
    assert total([0.5]) == [0.5]
    assert gather("a") == ["a"]
    assert together(lambda: 4) == 4

    def fail():
        raise CoplError("no")

    with pytest.raises(CoplError, match=r"^no$"):
        together(fail)
