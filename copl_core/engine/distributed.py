"""Several processes that train as one: a rank each, launched by torchrun or Slurm."""

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, cast

import torch
import torch.distributed as dist

from copl_core.api import ConfigError, CoplError

T = TypeVar("T")
Launcher: TypeAlias = Literal["none", "pytorch", "slurm"]
LAUNCHERS: tuple[Launcher, ...] = ("none", "pytorch", "slurm")
#: What torchrun sets for each process.
_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


class OtherRankError(CoplError):
    """Ends a rank that has nothing to add to what rank 0 says."""


def rank() -> int:
    """This process's number, from 0; 0 where there is one process."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def launch(launcher: Launcher, device: torch.device) -> torch.device:
    """Join the processes of a run.

    Args:
        launcher: Who started this process; ``none`` trains alone.
        device: What to train on; with CUDA every process of a machine takes one of its devices.

    Returns:
        This process's device.

    Raises:
        ConfigError: The launcher's environment is missing, or there are more processes than devices.
        OtherRankError: On ranks but the first, where several were given one device.
    """
    if launcher == "none":
        return device
    if launcher == "slurm":
        _take_from_slurm()
    missing = [name for name in _ENVIRONMENT if name not in os.environ]
    if missing:
        raise ConfigError(
            f"--launcher pytorch: {', '.join(missing)} not set; start it as\n"
            "  torchrun --nproc-per-node N tools/train.py CONFIG --launcher pytorch"
        )
    if device.type != "cuda":
        dist.init_process_group("gloo")
        return device
    index, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    # Told to bind devices to tasks (--gpus-per-task, --gpu-bind), Slurm shows each process its own and no other.
    alone = launcher == "slurm" and count == 1
    if alone:
        index = 0
    if index >= count:
        raise ConfigError(
            f"process {index} of this machine has no CUDA device: there are {count}; start {count} a machine"
        )
    torch.cuda.set_device(index)
    # Gloo beside NCCL: what the ranks agree on each step lies on the CPU and need not wait for the device.
    dist.init_process_group("cpu:gloo,cuda:nccl")
    if alone:
        together(lambda: _check_own(index))
    return torch.device("cuda", index)


def _check_own(index: int) -> None:
    """Refuse a device that another rank has, too, which NCCL would do in words of its own."""
    devices = gather(str(torch.cuda.get_device_properties(index).uuid))
    sharing = [number for number, device in enumerate(devices) if device == devices[rank()]]
    if len(sharing) > 1:
        raise ConfigError(
            f"processes {', '.join(map(str, sharing))} have one CUDA device between them; give each its own:\n"
            "  srun --ntasks-per-node N --gpus-per-task 1 python tools/train.py CONFIG --launcher slurm"
        )


def leave() -> None:
    """Part from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def largest(values: Sequence[int]) -> list[int]:
    """The largest of each value over all ranks."""
    if world_size() == 1:
        return list(values)
    numbers = torch.tensor(values)
    dist.all_reduce(numbers, dist.ReduceOp.MAX)
    return cast("list[int]", numbers.tolist())


def total(values: Sequence[float]) -> list[float]:
    """The sum of each value over all ranks."""
    if world_size() == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(numbers)
    return cast("list[float]", numbers.tolist())


def gather(value: Any) -> list[Any]:
    """The values of all ranks, on every rank, in order of rank."""
    values: list[Any] = [value]
    if world_size() > 1:
        values = [None] * world_size()
        dist.all_gather_object(values, value)
    return values


def together(action: Callable[[], T]) -> T:
    """Do something on all ranks, or fail on all of them, with one message from rank 0.

    Args:
        action: What this rank does.

    Returns:
        What ``action`` returned.

    Raises:
        CoplError: On rank 0: what the first rank that failed has to say.
        OtherRankError: On the others.
    """
    results: list[T] = []
    error: CoplError | None = None
    try:
        results.append(action())
    except CoplError as caught:
        error = caught
    messages = gather(None if error is None else str(error))
    failed = [number for number, message in enumerate(messages) if message is not None]
    if not failed:
        return results[0]
    if rank() > 0:
        raise OtherRankError(messages[failed[0]])
    raise error or CoplError(f"rank {failed[0]}: {messages[failed[0]]}")


def stop_together(error: CoplError) -> NoReturn:
    """Stop at an error that all ranks have come to at the same point, with one message from rank 0.

    Raises:
        CoplError: On rank 0.
        OtherRankError: On the others.
    """
    raise error if rank() == 0 else OtherRankError(str(error))


def _take_from_slurm() -> None:
    """Translate Slurm's environment to torchrun's.

    Raises:
        ConfigError: This is no Slurm step, or its nodes can't be listed.
    """
    try:
        names = {"RANK": "SLURM_PROCID", "WORLD_SIZE": "SLURM_NTASKS", "LOCAL_RANK": "SLURM_LOCALID"}
        os.environ.update({ours: os.environ[theirs] for ours, theirs in names.items()})
        job, nodes = int(os.environ["SLURM_JOB_ID"]), os.environ["SLURM_STEP_NODELIST"]
    except KeyError as error:
        raise ConfigError(
            f"--launcher slurm: {error.args[0]} not set; start it as\n"
            "  srun python tools/train.py CONFIG --launcher slurm"
        ) from None
    # The same on all nodes of a job, another one for each job that shares them.
    os.environ.setdefault("MASTER_PORT", str(20_000 + job % 20_000))
    if "MASTER_ADDR" not in os.environ:
        os.environ["MASTER_ADDR"] = _first_node(nodes)


def _first_node(nodes: str) -> str:
    """The first of Slurm's compressed list of nodes (``n[07-09,12]``)."""
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise ConfigError(
            f"--launcher slurm: {' '.join(command)} failed ({error}); set MASTER_ADDR to the name of the first node"
        ) from error
