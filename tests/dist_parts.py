"""Trainings of several ranks, each a process of its own that begins with everything imported."""

import multiprocessing
import os
import signal
import socket
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from engine_parts import train_toy

ROOT = Path(__file__).parents[1]
#: Exit code of a rank that says that another one has ended.
TOLD = 3


def train_demo(work_dir: Path, *, config: str, options: list[str], **settings: Any) -> None:
    """Train a config of the checkout with overrides."""
    from copl_core.config import check_config, load_config
    from copl_core.engine import train
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    registry = Registry(get_table())
    experiment = check_config(load_config(ROOT / config, options), registry, config)
    quiet = Console(quiet=True)
    train(experiment, registry, work_dir=work_dir, device=torch.device("cpu"), console=quiet, **settings)


def run_ranks(
    ranks: int, work_dir: Path, *, train: Any = train_toy, ended_by: int = 0, after_step: int = 0, **options: Any
) -> list[int]:
    """Train on so many ranks.

    Args:
        ranks: Number of processes.
        work_dir: Given to ``train``, as ``options`` are.
        train: ``train_toy`` or ``train_demo``.
        ended_by: A signal that the last rank gets after a step of the run.
        after_step: That step.

    Returns:
        Exit code of each rank. What a rank says of an error is in ``told-<rank>.txt`` in the work dir.
    """
    os.environ.update(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}", OMP_NUM_THREADS="1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine_parts"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        context.Process(target=_rank, args=(rank, ranks, port, work_dir, train, ended_by, after_step, options))
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90 if ended_by != signal.SIGKILL else 20)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


def _rank(
    rank: int,
    ranks: int,
    port: int,
    work_dir: Path,
    train: Any,
    ended_by: int,
    after_step: int,
    options: dict[str, Any],
) -> None:
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    from copl_core.api import CoplError
    from copl_core.engine.distributed import OtherRankError, launch, leave
    from copl_core.engine.hooks import ReseedHook
    from copl_core.engine.stop import StoppedError

    launch("pytorch", torch.device("cpu"))
    if ended_by and rank == ranks - 1:
        seed = ReseedHook.before_train_iter

        def end(hook: Any, runner: Any, **settings: Any) -> None:
            seed(hook, runner, **settings)
            if runner.iter == after_step:
                os.kill(os.getpid(), ended_by)

        ReseedHook.before_train_iter = end
    try:
        train(work_dir, **options)
    except StoppedError as stopped:
        raise SystemExit(128 + stopped.signal) from None
    except OtherRankError:
        raise SystemExit(2) from None
    except CoplError as error:
        (work_dir / f"told-{rank}.txt").write_text(str(error))
        raise SystemExit(TOLD if "another process of the run ended" in str(error) else str(error)) from error
    finally:
        leave()
