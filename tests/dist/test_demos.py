"""Each task's demo on two ranks, killed in mid-epoch and resumed."""

import json
import os
import signal
import subprocess
import sys

import pytest

from copl_synth.ave import AveSettings, write_ave
from copl_synth.avqa import AvqaSettings, write_avqa
from copl_synth.avs import AvsSettings, write_avs
from dist_parts import ROOT, run_ranks, train_demo

pytestmark = [pytest.mark.dist, pytest.mark.slow]

TASKS = {
    "avs": (write_avs, AvsSettings(train=4, val=2, test=2, seed=1), ["task.head.channels=8"]),
    "ave": (write_ave, AveSettings(train=4, val=2, test=2, seed=1), []),
    # Of so few questions, some of val and test have words or answers that no training question has.
    "avqa": (
        write_avqa,
        AvqaSettings(train=3, val=2, test=2, questions=3, seed=1),
        ["task.head.width=8", "task.dataset.on_error=skip", "task.dataset.unknown_words=pad"],
    ),
}
SMALL = ["schedule.epochs=1", "schedule.batch_size=1", "schedule.workers=0", "schedule.save_every=1"]


@pytest.mark.parametrize("task", TASKS)
def test_a_demo_on_two_ranks_is_killed_and_resumed(task, tmp_path):
    write, settings, own = TASKS[task]
    write(tmp_path / "data", settings)
    demo = {
        "train": train_demo,
        "config": f"configs/demo/{task}_swin_nano_shared.yaml",
        "options": [f"task.dataset.root={tmp_path / 'data'}", *own, *SMALL],
    }
    assert run_ranks(2, tmp_path / "whole", **demo) == [0, 0]
    assert 0 not in run_ranks(2, tmp_path / "cut", ended_by=signal.SIGKILL, after_step=1, **demo)
    assert run_ranks(2, tmp_path / "cut", resume=True, **demo) == [0, 0]
    for name in ("export/prompts.safetensors", "export/head.safetensors", "metrics.jsonl", "results.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_torchrun_trains_and_only_rank_0_speaks(demo_root, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "tools/train.py"]
    command += ["configs/demo/avs_swin_nano_shared.yaml", "--launcher", "pytorch", "--device", "cpu"]
    command += ["--work-dir", str(tmp_path / "run"), "--cfg-options", f"task.dataset.root={demo_root}"]
    command += ["task.head.channels=8", "schedule.epochs=1", "schedule.batch_size=4", "schedule.workers=1"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test mIoU") == 1
    assert "cpu x 2" in done.stdout
    assert "Warning" not in done.stderr
    assert json.loads((tmp_path / "run" / "results.json").read_text())["epoch"] == 1
