"""Runs in processes: their devices, what is told, what Ctrl-C does. Scripts stand in for trainings."""

import os
import signal
import sys
import threading
import time

import pytest

from copl_core.api import ConfigError
from copl_core.sweep import Run, Workers, find_devices, workers
from copl_core.sweep.devices import visible_names


@pytest.mark.parametrize(
    ("count", "inherited", "names"),
    [
        (2, None, ["0", "1"]),
        (2, "3,5", ["3", "5"]),
        (1, "GPU-8f2a, GPU-11bc", ["GPU-8f2a"]),
        (0, "", []),
    ],
)
def test_devices_keep_the_names_they_were_inherited_by(count, inherited, names):
    assert visible_names(count, inherited) == names


def test_cuda_without_a_device_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)

    with pytest.raises(ConfigError, match="no CUDA device is available; use --device cpu"):
        find_devices("cuda")
    assert find_devices("auto") == find_devices("cpu") == []


def runs(folder, count: int) -> list[Run]:
    return [Run("row", seed, {"seed": seed}, folder / "row" / f"seed-{seed}") for seed in range(count)]


def train_with(monkeypatch, script: str) -> None:
    monkeypatch.setattr(workers, "train_command", lambda run, config, device: [sys.executable, "-c", script])


def test_each_run_has_a_device_of_its_own(tmp_path, monkeypatch):
    script = "import os, time; print('on', os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(0.3)"
    train_with(monkeypatch, script)
    told = []

    outcomes = (pool := Workers(jobs=2, devices=["4", "7"], told=told.append)).map(pool.train, runs(tmp_path, 4))

    assert [outcome.state for outcome in outcomes] == ["finished"] * 4
    assert len(told) == 4
    printed = [outcome.log.read_text().strip() for outcome in outcomes]
    assert set(printed[:2]) == {"on 4", "on 7"}
    assert sorted(printed) == ["on 4", "on 4", "on 7", "on 7"]


def test_on_the_cpu_a_run_has_one_thread(tmp_path, monkeypatch):
    train_with(monkeypatch, "import os; print(os.environ['OMP_NUM_THREADS'])")
    pool = Workers(jobs=1, devices=[], told=lambda outcome: None)

    assert pool.train(runs(tmp_path, 1)[0]).log.read_text() == "1\n"


def test_a_failure_tells_the_first_line_of_the_last_message(tmp_path, monkeypatch):
    script = "print('copl train: no data at /nowhere'); print('  what to do'); raise SystemExit(2)"
    train_with(monkeypatch, script)
    pool = Workers(jobs=1, devices=[], told=lambda outcome: None)

    outcome = pool.train(runs(tmp_path, 1)[0])

    assert (outcome.state, outcome.error) == ("failed", "exit 2: no data at /nowhere")


def test_ctrl_c_lets_runs_save_starts_no_more_and_tells_nothing_of_them(tmp_path, monkeypatch):
    script = """
import signal, sys, time
def save(*_):
    time.sleep(0.3)
    print("saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print("begun", flush=True)
time.sleep(60)
"""
    train_with(monkeypatch, script)
    told, stopping = [], []
    pool = Workers(jobs=2, devices=[], told=told.append, stopping=lambda: stopping.append(1))
    mine = runs(tmp_path, 3)
    logs = [run.folder / workers.CONSOLE_FILE for run in mine]

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if all(log.exists() and "begun" in log.read_text() for log in logs[:2]):
                break
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        pool.map(pool.train, mine)

    assert [log.read_text().split() for log in logs[:2]] == [["begun", "saved"]] * 2
    assert not logs[2].exists() or not logs[2].read_text()
    assert not told
    assert stopping == [1]
