"""What a person reads while a run goes on, and afterwards in its log."""

import dataclasses
import io
import json
import logging
import re
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

import engine_parts
from copl_core.api import CoplError
from copl_core.engine.hooks import ProgressHook, progress
from engine_parts import NotFinite, ToyClips, ToyHead, train_toy


class Runner:
    """As much of MMEngine's runner as the hook looks at: two epochs of three steps."""

    epoch, iter, max_epochs, max_iters = 0, 0, 2, 6
    train_loop = SimpleNamespace(steps_per_epoch=3)

    def __init__(self):
        self.said, self.noted = [], []
        self.say, self.note = self.said.append, self.noted.append


def test_one_line_an_epoch_with_step_loss_and_time_left():
    hook, runner = ProgressHook(Console(file=io.StringIO())), Runner()
    hook.before_train(runner)
    for runner.epoch in range(2):
        for step in range(3):
            hook.after_train_iter(runner, step, outputs={"loss": torch.tensor(0.5)})
            runner.iter += 1
        hook.after_train_epoch(runner)
        hook.after_val_epoch(runner, {"val/mIoU": 0.25})
    first, scores, last, _ = runner.said
    assert re.fullmatch(r"epoch 1/2  step 3/3  loss 0\.5000  [\d.]+ steps/s  left 0:00:00", first)
    assert re.fullmatch(r"epoch 2/2  step 3/3  loss 0\.5000  [\d.]+ steps/s  left 0:00:00", last)
    assert scores == "  val/mIoU 0.2500"


def test_behind_the_bar_of_a_terminal_the_log_gets_its_lines(monkeypatch):
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.0)
    hook, runner = ProgressHook(Console(file=io.StringIO(), force_terminal=True), " (protocol x)"), Runner()
    hook.before_train(runner)
    hook.after_train_iter(runner, 0, outputs={"loss": torch.tensor(0.5)})
    hook.close()
    assert runner.said == []
    (line,) = runner.noted
    assert re.fullmatch(r"epoch 1/2  step 1/3  loss 0\.5000  .* \(protocol x\)", line)


def test_the_log_holds_the_whole_run(tmp_path):
    out = io.StringIO()
    result = train_toy(tmp_path, console=Console(file=out, width=200))
    log = (tmp_path / "train.log").read_text()
    for number in (1, 2):
        assert re.search(rf"epoch {number}/2  step 6/6  loss \d\.\d+", log)
        assert re.search(rf"epoch {number}, means over its steps: loss_task \d\.\d+  loss \d\.\d+", log)
    assert log.count("val/right ") == 2
    assert f"test/right {result.scores['right']:.4f}" in log
    assert f"epoch {result.epoch} is exported, the best so far by val/right" in log
    assert "init_weights" not in log
    for line in out.getvalue().splitlines():
        assert line.strip() in log


def test_the_log_holds_what_ended_the_run(tmp_path, capsys):
    with pytest.raises(CoplError, match="the loss is not finite"):
        train_toy(tmp_path / "fault", parts={"head": NotFinite})
    log = (tmp_path / "fault" / "train.log").read_text()
    assert re.search(r"ERROR - .*epoch 1, step 1: the loss is not finite: loss_task=nan", log)
    assert "not finite" not in "".join(capsys.readouterr()), "the command tells it, once"
    with pytest.raises(ZeroDivisionError):
        train_toy(tmp_path / "defect", parts={"head": Defective})
    log = (tmp_path / "defect" / "train.log").read_text()
    assert "Traceback" in log
    assert "ZeroDivisionError" in log


class Defective(ToyHead):
    def losses(self, predictions, batch):
        return {"loss_task": 1 / 0}


def test_what_data_sets_warn_of_is_in_the_log(tmp_path):
    train_toy(tmp_path, epochs=1, parts={"dataset": Warns})
    assert "clip 3 is short" in (tmp_path / "train.log").read_text()
    assert logging.getLogger("copl").handlers == []


class Warns(ToyClips):
    def __getitem__(self, index):
        if self.split == "train" and index == 3:
            logging.getLogger("copl").warning("clip %d is short", index)
        return super().__getitem__(index)


def test_another_protocol_marks_every_line_with_numbers(tmp_path, monkeypatch):
    made = engine_parts.toy_experiment
    monkeypatch.setattr(
        engine_parts, "toy_experiment", lambda **options: dataclasses.replace(made(**options), protocol="paper_compat")
    )
    out = io.StringIO()
    train_toy(tmp_path, console=Console(file=out, width=200))
    log = (tmp_path / "train.log").read_text()
    for text in (out.getvalue(), log):
        lines = [line for line in text.splitlines() if re.search(r"loss \d|right \d", line)]
        assert len(lines) >= 4
        assert all(line.endswith("(protocol paper_compat)") for line in lines)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["split"] for row in rows] == ["train", "test", "train", "test"]
    assert all("test/right" in row for row in rows if row["split"] == "test")
    assert all(row["protocol"] == "paper_compat" for row in rows)
