"""A study run whole: processes, failures, a second call."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_failing_row_leaves_the_others_alone_and_a_second_call_keeps_what_is_finished(
    tmp_path, demo_root, repository
):
    study = tmp_path / "study.yaml"
    study.write_text(f"""
config: {repository}/configs/demo/avs_swin_nano_shared.yaml
title: Two rows
seeds: [0]
options: {{schedule.epochs: 1, schedule.workers: 0, task.dataset.root: '{demo_root}'}}
rows:
  - {{name: frozen, options: {{tuner: {{type: frozen}}}}}}
  - {{name: no data, options: {{task.dataset.root: '{tmp_path}/nowhere'}}}}
""")
    command = [
        sys.executable,
        "-m",
        "copl_core",
        "sweep",
        str(study),
        "--work-dir",
        str(tmp_path / "out"),
        "--jobs",
        "2",
    ]

    def sweep() -> subprocess.CompletedProcess:
        return subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, check=False
        )

    first = sweep()
    results = tmp_path / "out" / "frozen" / "seed-0" / "results.json"
    written = results.stat().st_mtime_ns
    second = sweep()

    assert (first.returncode, second.returncode) == (1, 1)
    assert "frozen, seed 0: kept" not in first.stdout
    assert "frozen, seed 0: kept" in second.stdout
    assert results.stat().st_mtime_ns == written
    for run in (first, second):
        assert "no data, seed 0: FAILED" in run.stdout
        assert "nowhere" in run.stdout
        assert "1 runs failed; the same command tries them again" in run.stdout
        assert not run.stderr
    table = (tmp_path / "out" / "results.md").read_text()
    assert table.startswith("# Two rows\n")
    assert "| frozen | 0." in table
    assert "| no data | none finished | - |" in table
