"""Processes on the machines of a Ray cluster. They see the files of this machine, under the same paths."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError
from copl_core.sweep.workers import on_cpu

# A refused connection is told at once; Ray itself would try for minutes.
_SECONDS = 10


class RayProcesses:
    """Processes on a Ray cluster, each with one GPU, or one CPU where there are no GPUs; Ray chooses the machine.

    Args:
        address: ``HOST:PORT`` of the cluster, ``ray://HOST:PORT``, or ``auto``: the one that this machine is in.
        wanted: ``auto``, ``cpu`` or ``cuda``.

    Attributes:
        devices: One entry a GPU; Ray gives them their names.
        jobs: Processes that have room at a time.
        stopped: Whether they were asked to stop.

    Raises:
        ConfigError: Ray is missing, the cluster can't be reached, or has no GPU where CUDA is wanted.
    """

    def __init__(self, address: str, wanted: str) -> None:
        self._ray = _connect(address)
        resources = self._ray.cluster_resources()
        gpus = 0 if wanted == "cpu" else int(resources.get("GPU", 0))
        if wanted == "cuda" and not gpus:
            raise ConfigError(f"--device cuda: the Ray cluster at {address} has no GPU; use --device cpu")
        self.devices = ["of Ray's choice"] * gpus
        self.jobs = gpus or max(1, int(resources.get("CPU", 1)))
        self.stopped = False
        self._lock = threading.Lock()
        self._waiting: set[Any] = set()
        self._running: set[Any] = set()

    def call(self, command: Sequence[str], device: str | None, log: Path) -> int:
        """See ``Processes``. Ray names the GPU in the environment of the process."""
        changes = {name: value for name, value in os.environ.items() if name.startswith("COPL_")}
        changes |= on_cpu() if device is None else {}
        needs = {"num_cpus": 1, "num_gpus": 0} if device is None else {"num_cpus": 0, "num_gpus": 1}
        with self._lock:
            if self.stopped:
                return -1
            # Two calls at a time: one waits for the process while another stops it.
            process = self._ray.remote(_Process).options(**needs, max_concurrency=2).remote()
            self._waiting.add(process)
        try:
            self._ray.get(process.start.remote(list(command), os.getcwd(), changes, str(log.resolve())))
            with self._lock:
                self._waiting.discard(process)
                self._running.add(process)
                if self.stopped:
                    process.send.remote(signal.SIGTERM)
            return int(self._ray.get(process.wait.remote()))
        except self._ray.exceptions.RayError as error:
            reason = str(getattr(error, "cause", None) or error).partition("\n")[0]
            with log.open("a", encoding="utf-8") as file:
                file.write(f"\ncopl train: Ray: {reason}\n")
            return -1
        finally:
            with self._lock:
                self._waiting.discard(process)
                self._running.discard(process)
            self._ray.kill(process)

    def stop(self) -> None:
        """See ``Processes``. What still waits for a machine gives up its place."""
        with self._lock:
            self.stopped = True
            for process in self._waiting:
                self._ray.kill(process)
            for process in self._running:
                process.send.remote(signal.SIGTERM)

    def kill(self) -> None:
        """See ``Processes``."""
        with self._lock:
            for process in self._running:
                process.send.remote(signal.SIGKILL)


class _Process:
    """A process on the machine that this object was put on."""

    def start(self, command: Sequence[str], folder: str, changes: Mapping[str, str], log: str) -> None:
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **changes}, stdout=file, stderr=subprocess.STDOUT
            )

    def wait(self) -> int:
        return self.process.wait()

    def send(self, number: int) -> None:
        self.process.send_signal(number)


def _connect(address: str) -> Any:
    """The module ``ray``, connected."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--ray needs Ray: pip install 'copl[ray]'") from error
    what_to_do = "start one with `ray start --head`, or give --ray the HOST:PORT of its head"
    try:
        if address != "auto":
            host, _, port = address.removeprefix("ray://").rpartition(":")
            if not (host and port.isdecimal()):
                raise ConfigError(f"--ray {address}: expected HOST:PORT or ray://HOST:PORT")
            socket.create_connection((host, int(port)), _SECONDS).close()
        ray.init(address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"--ray {address}: no Ray cluster can be reached ({reason}); {what_to_do}") from error
    return ray
