"""What makes two configs the same run."""

import shutil

import pytest

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
