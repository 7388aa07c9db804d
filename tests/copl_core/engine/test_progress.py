"""What a person reads while a run goes on, where the output is no terminal."""

import io
import re

import torch
from rich.console import Console

from copl_core.engine.hooks import ProgressHook


class Runner:
    """As much of MMEngine's runner as the hook looks at: two epochs of three steps."""

    epoch, iter, max_epochs, max_iters = 0, 0, 2, 6
    train_dataloader = range(3)


def test_one_line_an_epoch_with_step_loss_and_time_left():
    out = io.StringIO()
    hook, runner = ProgressHook(Console(file=out, width=200)), Runner()
    hook.before_train(runner)
    for runner.epoch in range(2):
        for step in range(3):
            hook.after_train_iter(runner, step, outputs={"loss": torch.tensor(0.5)})
            runner.iter += 1
        hook.after_train_epoch(runner)
        hook.after_val_epoch(runner, {"val/mIoU": 0.25})
    first, scores, last, _ = out.getvalue().splitlines()
    assert re.fullmatch(r"epoch 1/2  step 3/3  loss 0\.5000  [\d.]+ steps/s  left 0:00:00", first)
    assert re.fullmatch(r"epoch 2/2  step 3/3  loss 0\.5000  [\d.]+ steps/s  left 0:00:00", last)
    assert scores == "  val/mIoU 0.2500"
