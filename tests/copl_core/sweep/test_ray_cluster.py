"""Runs on a Ray cluster of two nodes, both on this machine: results, devices, what Ctrl-C and a loss do."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from copl_core.api import ConfigError
from copl_core.sweep import RayProcesses, Run, Workers, workers


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"--ray needs Ray: pip install 'copl\[ray\]'"):
        RayProcesses("auto", "auto")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:1",
            r"--ray 127.0.0.1:1: no Ray cluster can be reached \(.*[Rr]efused.*\); start one with `ray start",
        ),
        ("somewhere", "--ray somewhere: expected HOST:PORT"),
        ("auto", "--ray auto: no Ray cluster can be reached"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_at_once(address, message, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'copl[ray]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    start = time.monotonic()
    with pytest.raises(ConfigError, match=message):
        RayProcesses(address, "auto")
    assert time.monotonic() - start < 20


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster of two nodes with a CPU each; the first has two GPUs, as far as Ray knows."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'copl[ray]'")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_gpus": 2, "include_dashboard": False})
    cluster.add_node(**node)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def connected(cluster):
    """Connects this process, and takes leave at the end."""
    import ray

    yield lambda device: RayProcesses(cluster, device)
    ray.shutdown()


def runs(folder, count: int) -> list[Run]:
    return [Run("row", seed, {"seed": seed}, folder / "row" / f"seed-{seed}") for seed in range(count)]


def pool_of(processes: RayProcesses, told=lambda outcome: None, jobs: int | None = None) -> Workers:
    return Workers(jobs=jobs or processes.jobs, devices=processes.devices, told=told, processes=processes)


def train_with(monkeypatch, script: str) -> None:
    monkeypatch.setattr(workers, "train_command", lambda run, config, device: [sys.executable, "-c", script])


@pytest.mark.slow
def test_each_run_has_a_gpu_of_its_own(tmp_path, monkeypatch, connected):
    train_with(monkeypatch, "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(1)")
    pool = pool_of(connected("cuda"))

    outcomes = pool.map(pool.train, runs(tmp_path, 2))

    assert pool.jobs == 2
    assert [outcome.state for outcome in outcomes] == ["finished"] * 2
    assert sorted(outcome.log.read_text() for outcome in outcomes) == ["0\n", "1\n"]


@pytest.mark.slow
def test_on_the_cpu_a_run_has_one_thread_here_and_the_plugins_named_here(tmp_path, monkeypatch, connected):
    train_with(monkeypatch, "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['COPL_X'], os.getcwd())")
    monkeypatch.setenv("COPL_X", "yes")
    monkeypatch.chdir(tmp_path)
    pool = pool_of(connected("cpu"))

    outcome = pool.train(runs(tmp_path, 1)[0])

    assert (pool.jobs, outcome.state) == (2, "finished")
    assert outcome.log.read_text() == f"1 yes {tmp_path}\n"


@pytest.mark.slow
def test_a_lost_machine_fails_its_run_and_the_next_one_is_trained(tmp_path, monkeypatch, connected):
    script = "import os, pathlib, signal; pathlib.Path('gone').exists() or os.kill(os.getppid(), signal.SIGKILL)"
    monkeypatch.chdir(tmp_path)
    train_with(monkeypatch, f"{script}; import time; time.sleep(0 if pathlib.Path('gone').exists() else 60)")
    pool = pool_of(connected("cpu"))

    (lost,) = pool.map(pool.train, runs(tmp_path, 1))
    (tmp_path / "gone").touch()
    (again,) = pool.map(pool.train, runs(tmp_path, 1))

    assert lost.state == "failed"
    assert lost.error.startswith("exit -1: Ray: ")
    assert again.state == "finished"


@pytest.mark.slow
def test_ctrl_c_lets_runs_save_and_gives_up_those_that_wait_for_a_machine(tmp_path, monkeypatch, connected):
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
    mine = runs(tmp_path, 3)
    logs = [run.folder / workers.CONSOLE_FILE for run in mine]
    told = []
    # Three at a time, where two have room: one waits.
    pool = pool_of(connected("cpu"), told.append, jobs=3)

    def begun() -> int:
        return sum(log.exists() and "begun" in log.read_text() for log in logs)

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while begun() < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        pool.map(pool.train, mine)

    printed = sorted(log.read_text().split() for log in logs if log.exists() and "begun" in log.read_text())
    assert printed == [["begun", "saved"]] * 2
    assert not told


@pytest.mark.slow
def test_a_study_has_the_results_of_runs_on_this_machine(tmp_path, demo_root, repository, cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    config = repository / "configs" / "demo" / "avs_swin_nano_shared.yaml"
    options = {
        "schedule.epochs": 1,
        "schedule.val_interval": 1,
        "schedule.workers": 0,
        "task.dataset.root": str(demo_root),
    }
    study = tmp_path / "study.yaml"
    study.write_text(
        f"config: {config}\nseeds: [0]\noptions: {json.dumps(options)}\n"
        "rows:\n  - name: frozen\n    options: {tuner: {type: frozen}}\n  - name: CoPL\n"
    )

    def copl(*arguments) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "copl_core", *map(str, arguments), "--device", "cpu"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = copl("sweep", study, "--work-dir", "out", "--ray")
    here = copl(
        "train",
        config,
        "--work-dir",
        "here",
        "--seed",
        "0",
        "--cfg-options",
        *(f"{path}={value}" for path, value in options.items()),
    )

    assert (done.returncode, here.returncode) == (0, 0), done.stdout + done.stderr + here.stderr
    assert "2 runs of 2 rows, 2 at a time; work dir out" in done.stdout
    assert not done.stderr
    results = [json.loads((tmp_path / folder / "results.json").read_text()) for folder in ("out/CoPL/seed-0", "here")]
    assert results[0] == results[1]
    assert "| frozen | 0." in (tmp_path / "out" / "results.md").read_text()
