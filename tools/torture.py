"""Kills training runs at random moments, resumes them, and compares what they end with, bit by bit.

A small model is trained over a matrix of settings: workers, moving average, gradient accumulation, saving within the
epoch, validation interval. Each run is killed a few times (SIGKILL at a random time, SIGKILL in the midst of writing a
file, SIGTERM) and resumed, and must end with the files and the state of the run that nobody killed.

    python tools/torture.py --kills 100
"""

import argparse
import hashlib
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The toy task lies with the tests. Child processes start from a server that has imported everything.
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
os.environ["OMP_NUM_THREADS"] = "1"

MATRIX = {
    "workers": (0, 2),
    "ema": (None, 0.9),
    "accumulate": (1, 2),
    "save_every": (None, 1, 2),
    "val_interval": (1, 2),
}
"""Settings of the schedule, all combinations of which are tried."""

WITHOUT_EFFECT = ("workers", "save_every")
"""Settings that must not change what a run ends with."""

KINDS = {"kill": 5, "kill while writing": 4, "terminate": 1}
"""How runs are ended, and how often."""

WRITES = 40
"""About as many points within writing as a run passes."""

PATIENCE = 120.0
"""Seconds after which a run counts as hung."""


class WritePoints:
    """Counts the points within writing that a process passes; at one of them it reports and waits for its end.

    Args:
        report: Where to.
        last: Number of the point, from 1; 0 for none.
    """

    def __init__(self, report: Callable[[], object], last: int) -> None:
        self.report = report
        self.left = last

    def pass_one(self) -> None:
        """Be at the next point."""
        self.left -= 1
        if self.left == 0:
            self.report()
            time.sleep(PATIENCE)

    def install(self) -> None:
        """Put points before, in the middle of and after what writes a file."""
        for owner, name in ((os, "fsync"), (os, "link"), (Path, "replace")):
            setattr(owner, name, self._around(getattr(owner, name)))
        open_path = Path.open
        Path.open = lambda path, mode="r", *rest, **options: (  # type: ignore[method-assign,assignment]
            HalfWriter(open_path(path, mode, *rest, **options), self)
            if mode == "wb"
            else open_path(path, mode, *rest, **options)
        )

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def with_points(*arguments: Any, **options: Any) -> Any:
            self.pass_one()
            result = call(*arguments, **options)
            self.pass_one()
            return result

        return with_points


class HalfWriter:
    """A binary file that is written in two halves, with a point between them."""

    def __init__(self, file: Any, points: WritePoints) -> None:
        self.file = file
        self.points = points

    def write(self, content: Any) -> None:
        """Write the content."""
        middle = len(content) // 2
        self.file.write(content[:middle])
        self.file.flush()
        self.points.pass_one()
        self.file.write(content[middle:])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "HalfWriter":
        return self

    def __exit__(self, *problem: object) -> None:
        self.file.close()


def train(work_dir: Path, settings: dict[str, Any], last_write: int, connection: Connection) -> None:
    """The child process: train the toy, or go on training it."""
    log = os.open(work_dir.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)

    from copl_core.engine.stop import StoppedError
    from engine_parts import train_toy

    WritePoints(lambda: connection.send("writing"), last_write).install()
    connection.send("started")
    try:
        train_toy(work_dir, resume=True, **settings)
    except StoppedError as stopped:
        sys.exit(128 + stopped.signal)


def run(work_dir: Path, settings: dict[str, Any], kind: str | None, dice: random.Random, seconds: float) -> str | None:
    """Train in a process of its own and end it by ``kind``, if it lasts so long.

    Returns:
        ``kind`` if that ended the run, None if it finished.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine_parts"])
    ours, theirs = context.Pipe()
    last_write = dice.randint(1, WRITES) if kind == "kill while writing" else 0
    process = context.Process(target=train, args=(work_dir, settings, last_write, theirs))
    process.start()
    theirs.close()
    ours.recv()
    if kind == "kill while writing":
        try:
            ours.recv()
            process.kill()
        except EOFError:
            pass
    elif kind:
        process.join(dice.uniform(0, seconds))
        os.kill(process.pid or 0, signal.SIGKILL if kind == "kill" else signal.SIGTERM) if process.is_alive() else None
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise SystemExit(f"hung: {settings}; see {work_dir.with_suffix('.log')}")
    if process.exitcode == 0:
        return None
    if process.exitcode not in (-signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM):
        print(work_dir.with_suffix(".log").read_text())
        raise SystemExit(f"exit code {process.exitcode}: {settings}")
    return kind


def position(work_dir: Path) -> tuple[int, int]:
    """Epoch and step from which the run would go on."""
    from copl_core.engine.resume import read_latest

    state, _ = read_latest(work_dir)
    return (state["epoch"], state["step"]) if state else (0, 0)


def digests(work_dir: Path) -> dict[str, str]:
    """SHA-256 of all that a finished run leaves and that must not depend on kills."""
    from copl_core.engine.resume import RESUME_FILE, read_state

    names = ("export/prompts.safetensors", "export/head.safetensors", "metrics.jsonl", "results.json", "examples.png")
    found = {name: hashlib.sha256((work_dir / name).read_bytes()).hexdigest() for name in names}
    state = read_state(work_dir / RESUME_FILE)
    del state["extra"]["config"]
    return {**found, "state": hashlib.sha256(canonical(state)).hexdigest()}


def canonical(value: Any) -> bytes:
    """Bytes that are equal for equal nested values with tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        return repr((value.dtype, tuple(value.shape))).encode() + value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return b"{" + b",".join(repr(key).encode() + b":" + canonical(value[key]) for key in value) + b"}"
    if isinstance(value, (list, tuple)):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    return repr(value).encode()


def torture(kills: int, dice: random.Random, folder: Path) -> Counter[str]:
    """Kill runs until ``kills`` of them were killed.

    Returns:
        Number of kills by kind, and of ``runs`` compared.
    """
    cases = [dict(zip(MATRIX, values, strict=True)) for values in itertools.product(*MATRIX.values())]
    dice.shuffle(cases)
    counts: Counter[str] = Counter()
    references: dict[str, tuple[dict[str, str], float]] = {}
    for number, settings in enumerate(itertools.cycle(cases)):
        if counts.total() - counts["runs"] >= kills:
            return counts
        key = repr({name: value for name, value in settings.items() if name not in WITHOUT_EFFECT})
        if key not in references:
            references[key] = reference(folder / f"reference-{len(references)}", settings, dice)
        expected, seconds = references[key]
        work_dir = folder / f"run-{number}"
        told = []
        before = (0, 0)
        for _ in range(dice.randint(1, 4)):
            kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
            if run(work_dir, settings, kind, dice, seconds) is None:
                break
            counts[kind] += 1
            if position(work_dir) < before:
                raise SystemExit(f"lost what was saved: {settings}: {before} before, {position(work_dir)} now")
            before = position(work_dir)
            told.append(f"{kind}, saved at {before}")
        run(work_dir, settings, None, dice, seconds)
        compare(digests(work_dir), expected, settings, told)
        counts["runs"] += 1
        shutil.rmtree(work_dir)
    raise AssertionError("the cycle has no end")


def reference(work_dir: Path, settings: dict[str, Any], dice: random.Random) -> tuple[dict[str, str], float]:
    """What a run ends with that nobody kills, and how long it takes."""
    began = time.monotonic()
    run(work_dir, {**settings, "workers": 0, "save_every": None}, None, dice, 0)
    return digests(work_dir), time.monotonic() - began


def compare(found: dict[str, str], expected: dict[str, str], settings: dict[str, Any], told: list[str]) -> None:
    """Exit if two runs differ."""
    differing = [name for name in expected if found[name] != expected[name]]
    if differing:
        raise SystemExit(f"not the same: {', '.join(differing)}: {settings}\n  " + "\n  ".join(told))
    print(f"equal: {settings}: {'; '.join(told) or 'finished before it was killed'}", flush=True)


def main() -> int:
    """Torture, and say how often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of what is killed when")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = torture(options.kills, random.Random(options.seed), Path(folder))
    runs = counts.pop("runs")
    kinds = ", ".join(f"{number} x {kind}" for kind, number in sorted(counts.items()))
    print(f"{counts.total()} kills ({kinds}) in {runs} runs, {time.monotonic() - began:.0f} s: all equal, nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
