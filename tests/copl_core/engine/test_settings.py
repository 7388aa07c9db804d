"""What makes two configs the same run."""

import dataclasses
import shutil

import pytest

from copl_core.config import Schedule
from copl_core.config.same import other_settings
from copl_core.engine.settings import differences, run_settings


@pytest.fixture
def settings(experiment):
    return lambda *options: run_settings(*experiment(*options))


@pytest.mark.parametrize(
    "options",
    [
        ("schedule.accumulate=1", "schedule.optimizer=adam", "compute.precision=fp32"),
        ("tuner.prompts.frame.attach=own", "tuner.prompts.global.std=0.02"),
        ("tuner.type=copl_prompts.copl", "task.metric.type=copl_avs.segmentation"),
        ("tuner.prompts.other=null",),
        ("schedule.workers=3", "schedule.save_every=2", "schedule.on_save_error=continue"),
        ("loggers={tensorboard: {interval: 5}}",),
    ],
)
def test_the_same_run_in_other_words(options, settings):
    assert differences(settings(), settings(*options)) == {}


def test_the_same_run_on_another_machine(settings, demo_root, tmp_path):
    shutil.copytree(demo_root, tmp_path / "data")
    assert differences(settings(), settings(f"task.dataset.root={tmp_path / 'data'}")) == {}


def test_weights_of_an_encoder_may_lie_anywhere(settings, tmp_path):
    (tmp_path / "a").write_text("")
    swin = "encoders.visual={{type: swin, model: swinv2_large_window12_192, weights: {}}}"
    assert differences(settings(swin.format("timm")), settings(swin.format(tmp_path / "a"))) == {}


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("schedule.accumulate=2", "schedule.accumulate (1, now 2)"),
        ("tuner.prompts.frame.attach=all", "tuner.prompts.frame.attach ('own', now 'all')"),
        ("task.dataset.tolerance=0.5", "task.dataset.tolerance (1.0, now 0.5)"),
        ("seed=3", "seed (0, now 3)"),
    ],
)
def test_another_run(option, told, settings):
    assert list(differences(settings(), settings(option)).values()) == [told]


def test_a_part_that_is_gone(settings):
    gone = differences(settings(), settings("tuner.prompts.frame=null"))
    assert gone["tuner.prompts.frame.attach"] == "tuner.prompts.frame.attach ('own', now not there)"
    assert all(path.startswith("tuner.prompts.frame.") for path in gone)


#: Another value for each key of a schedule; of those that make no other run, beside.
OTHERS = {
    "epochs": 9, "batch_size": 9, "prompt_lr": 0.5, "head_lr": 0.5, "optimizer": "adamw", "weight_decay": 0.5,
    "lr_schedule": "cosine", "warmup_epochs": 1, "val_interval": 9, "eval_batch_size": 9, "accumulate": 9, "ema": 0.5,
}  # fmt: skip
FREE_OTHERS = {"workers": 9, "save_every": 9, "on_nonfinite": "skip", "on_save_error": "continue"}


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Schedule)])
def test_resuming_and_studies_agree_on_what_makes_another_run(key, experiment):
    base = {"schedule.epochs": 8, "schedule.lr_schedule": "constant", "schedule.optimizer": "adam"}
    changed = base | {f"schedule.{key}": (OTHERS | FREE_OTHERS)[key]}
    first, second = (experiment(*(f"{path}={value}" for path, value in each.items())) for each in (base, changed))
    expected = [] if key in FREE_OTHERS else [f"schedule.{key}"]
    assert list(differences(run_settings(*first), run_settings(*second))) == expected
    assert other_settings(first[0].source, second[0].source) == expected
