"""Trains runs in processes of their own, so many at a time."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, Protocol, TypeVar

from copl_core.api import ConfigError
from copl_core.config import dump_config
from copl_core.sweep.devices import VISIBLE
from copl_core.sweep.runs import Run

CONSOLE_FILE = "console.txt"

State = Literal["finished", "kept", "failed"]
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        run: The run.
        state: ``finished`` now, ``kept`` from before, or ``failed``.
        seconds: Wall time.
        error: Exit code and reason, if it failed.
        log: What it printed; None if it wasn't started.
    """

    run: Run
    state: State
    seconds: float = 0.0
    error: str = ""
    log: Path | None = None


class Processes(Protocol):
    """Where processes run: on this machine, or on those of a cluster."""

    @property
    def stopped(self) -> bool:
        """Whether they were asked to stop."""

    def call(self, command: Sequence[str], device: str | None, log: Path) -> int:
        """Run a process to its end, its output in a file; its exit code.

        Args:
            command: The process.
            device: A CUDA device; None for the CPU.
            log: The file.
        """

    def stop(self) -> None:
        """Ask all processes to stop, once each, and start no more."""

    def kill(self) -> None:
        """End all processes."""


class Workers:
    """Trains runs, so many at a time. On Ctrl-C in ``map``, runs save their state and are waited for.

    Args:
        jobs: Runs at a time.
        devices: CUDA devices to hand out, one a run, as ``CUDA_VISIBLE_DEVICES`` names them; empty: the CPU, on which
            each run has one thread.
        told: Called with each outcome as it comes, not from two threads at once.
        stopping: Called when runs are being stopped.
        processes: Where they run; on this machine if None.
    """

    def __init__(
        self,
        *,
        jobs: int,
        devices: Sequence[str],
        told: Callable[[Outcome], object],
        stopping: Callable[[], object] = lambda: None,
        processes: Processes | None = None,
    ) -> None:
        self.jobs = jobs
        self._slots: SimpleQueue[str | None] = SimpleQueue()
        for job in range(jobs):
            self._slots.put(devices[job % len(devices)] if devices else None)
        self._told = told
        self._stopping = stopping
        self._telling = threading.Lock()
        self._processes = processes or LocalProcesses()

    @property
    def stopped(self) -> bool:
        """Whether runs are being stopped."""
        return self._processes.stopped

    def train(self, run: Run) -> Outcome:
        """Train a run, if it isn't finished, as soon as there is room for it. Any failure is an outcome."""
        slot = self._slots.get()
        try:
            outcome = self._train(run, slot)
        finally:
            self._slots.put(slot)
        if not self.stopped:
            with self._telling:
                self._told(outcome)
        return outcome

    def map(self, work: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
        """Do something that trains runs, for ``jobs`` items at a time; results in order of the items."""
        with self._pool() as pool:
            return list(pool.map(work, items))

    @contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        pool = ThreadPoolExecutor(self.jobs)
        try:
            yield pool
        except BaseException:
            # Ctrl-C, most likely: what waits isn't started, what runs saves its state and ends. A second one ends it.
            self._stopping()
            self._processes.stop()
            try:
                pool.shutdown(cancel_futures=True)
            except KeyboardInterrupt:
                self._processes.kill()
                pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()

    def _train(self, run: Run, device: str | None) -> Outcome:
        try:
            if run.results() is not None:
                return Outcome(run, "kept")
            run.folder.mkdir(parents=True, exist_ok=True)
            config = run.folder.parent / f"{run.folder.name}.yaml"
            config.write_text(dump_config(run.config), encoding="utf-8")
        except (ConfigError, OSError) as error:
            return Outcome(run, "failed", error=str(error))
        log, start = run.folder / CONSOLE_FILE, time.monotonic()
        code = self._processes.call(train_command(run, config, device), device, log)
        seconds = time.monotonic() - start
        if code == 0:
            return Outcome(run, "finished", seconds, log=log)
        return Outcome(run, "failed", seconds, f"exit {code}: {last_message(log)}", log)


def train_command(run: Run, config: Path, device: str | None) -> list[str]:
    """The command that trains a run.

    Args:
        run: The run.
        config: The file of its config.
        device: A CUDA device; None for the CPU.
    """
    where = ["--device", "cpu"] if device is None else []
    return [sys.executable, "-m", "copl_core", "train", str(config), "--work-dir", str(run.folder), "--resume", *where]


def last_message(log: Path) -> str:
    """What a run has ended with: the first line of the last message of ``copl train``, or the last line printed."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("copl train: ")]
    return (told or lines or ["it printed nothing"])[-1].removeprefix("copl train: ")


class LocalProcesses:
    """Processes on this machine."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def call(self, command: Sequence[str], device: str | None, log: Path) -> int:
        """See ``Processes``. A process has a session of its own: no key reaches it."""
        changes = on_cpu() if device is None else {VISIBLE: device}
        with log.open("wb") as file:
            with self._lock:
                if self.stopped:
                    return -1
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **changes},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._running.add(process)
            try:
                return process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)

    def stop(self) -> None:
        """See ``Processes``."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                process.terminate()

    def kill(self) -> None:
        """See ``Processes``."""
        with self._lock:
            for process in self._running:
                process.kill()


def on_cpu() -> dict[str, str]:
    """What the environment of a run on the CPU has: one thread."""
    return {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
