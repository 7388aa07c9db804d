"""Joining the ranks of a run; what the ranks then do together is tested in tests/dist."""

import os
from types import SimpleNamespace

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


@pytest.fixture
def on_slurm(joined, monkeypatch):
    """Fake a task of Slurm that sees ``visible`` devices; returns what it is given and what it has set.

    ``uuids`` are those that the devices of all ranks have, in order of rank.
    """

    def start(*, local: str, visible: int, uuids: tuple[str, ...] = ()):
        for name, value in (SLURM | {"SLURM_LOCALID": local, "SLURM_PROCID": local}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MASTER_ADDR", "node07")
        taken = []
        monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
        monkeypatch.setattr(torch.cuda, "set_device", taken.append)
        own = SimpleNamespace(uuid=uuids[int(local)] if uuids else None)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: own)
        # Two calls: of the devices, then of what each rank has to say; the other ranks here come to the same.
        monkeypatch.setattr(distributed, "gather", lambda value: list(uuids) if value in uuids else [value])
        monkeypatch.setattr(distributed, "rank", lambda: int(local))
        return launch("slurm", torch.device("cuda")), taken

    return start


@pytest.mark.parametrize(
    ("local", "visible", "uuids", "index"),
    [
        ("1", 1, ("a", "b", "c"), 0),  # --gpus-per-task 1: CUDA_VISIBLE_DEVICES names one device, another for each task
        ("0", 1, ("a", "b", "c"), 0),
        ("2", 4, (), 2),  # --gpus-per-node 4: every task sees all four
    ],
)
def test_a_task_of_slurm_takes_its_own_device(on_slurm, joined, local, visible, uuids, index):
    device, taken = on_slurm(local=local, visible=visible, uuids=uuids)
    assert device == torch.device("cuda", index)
    assert taken == [index]
    assert joined == ["cpu:gloo,cuda:nccl"]


def test_tasks_of_slurm_with_one_device_between_them_are_told(on_slurm):
    """--ntasks-per-node 2 --gpus-per-node 1 on two nodes: the tasks of a node see the same device."""
    told = r"processes 0, 1 have one CUDA device between them; give each its own:\n.*--gpus-per-task 1"
    with pytest.raises(ConfigError, match=told):
        on_slurm(local="0", visible=1, uuids=("a", "a", "b", "b"))


def test_more_tasks_of_slurm_than_devices(on_slurm):
    with pytest.raises(ConfigError, match="process 3 of this machine has no CUDA device: there are 2"):
        on_slurm(local="3", visible=2)


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
