"""Measure several setups side by side: a process for each, one step of each in turn."""

import multiprocessing
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from copl_core.api import ConfigError, CoplError
from copl_core.bench.probe import Probe, Setup


@dataclass(frozen=True)
class Row:
    """Measured figures of one setup.

    Attributes:
        tuner: Label of the setup.
        trained: Trained parameters beside the head.
        time_s: Median time of a forward and backward pass, seconds.
        time_spread_s: Third quartile minus first, seconds.
        time_ratio: ``time_s`` by that of the first row: the median over the rounds of the ratio within a round.
        forward_s: Median time of a forward pass without autograd, seconds.
        saved_bytes: Bytes kept for the backward pass.
        saved_ratio: ``saved_bytes`` by those of the first row; None if it keeps nothing.
        peak_bytes: Peak memory: on CUDA of tensors, else of the process, Python and libraries included.
    """

    tuner: str
    trained: int
    time_s: float
    time_spread_s: float
    time_ratio: float
    forward_s: float
    saved_bytes: int
    saved_ratio: float | None
    peak_bytes: int


def measure(setups: Sequence[Setup], *, rounds: int, progress: Callable[[str], None] = lambda text: None) -> list[Row]:
    """Measure ``setups`` in turn, ``rounds`` times after one round to warm up.

    Raises:
        CoplError: A setup can't be built.
    """
    # Threads of a process that waits for its turn must sleep, not spin.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    workers = [_Worker(setup) for setup in setups]
    try:
        for worker in workers:
            progress(f"building {worker.setup.label}")
            worker.ask("build")
        times: list[list[float]] = [[] for _ in workers]
        forwards: list[list[float]] = [[] for _ in workers]
        for index in range(rounds + 1):
            progress(f"round {index} of {rounds}" if index else "warming up")
            for worker, steps, passes in zip(workers, times, forwards, strict=True):
                passes.append(worker.ask("forward"))
                steps.append(worker.ask("step"))
        times, forwards = [steps[1:] for steps in times], [passes[1:] for passes in forwards]
        # Memory last: counting what is kept holds two graphs at once, which must not enter the peak.
        peaks = [worker.ask("peak_bytes") for worker in workers]
        saved = [worker.ask("saved_bytes") for worker in workers]
        return [
            Row(
                tuner=worker.setup.label,
                trained=worker.ask("trained"),
                time_s=statistics.median(steps),
                time_spread_s=_spread(steps),
                time_ratio=statistics.median(own / first for own, first in zip(steps, times[0], strict=True)),
                forward_s=statistics.median(passes),
                saved_bytes=kept,
                saved_ratio=kept / saved[0] if saved[0] else None,
                peak_bytes=peak,
            )
            for worker, steps, passes, kept, peak in zip(workers, times, forwards, saved, peaks, strict=True)
        ]
    finally:
        for worker in workers:
            worker.close()


def _spread(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


class _Worker:
    """A process with one probe, that answers one question at a time."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        # A fresh process: a forked one would share torch's threads, and its memory would count the parent's.
        context = multiprocessing.get_context("spawn")
        self.connection, remote = context.Pipe()
        self.process = context.Process(target=_answer, args=(remote, setup), daemon=True)
        self.process.start()
        remote.close()

    def ask(self, question: str) -> Any:
        try:
            self.connection.send(question)
            answer = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            raise ConfigError(
                f"{self.setup.label}: the measuring process ended with code {self.process.exitcode} at '{question}'; "
                "-9 means that the machine ran out of memory: measure fewer tuners at once, fewer frames or clips"
            ) from error
        if isinstance(answer, CoplError):
            raise type(answer)(f"{self.setup.label}: {answer}")
        return answer

    def close(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _answer(connection: Connection, setup: Setup) -> None:
    probe: Probe | None = None
    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        try:
            if probe is None:
                probe = Probe(setup)
            answer: Any = True if question == "build" else getattr(probe, question)
            connection.send(answer() if callable(answer) else answer)
        except CoplError as error:
            connection.send(error)
