from typing import Any

import pytest

from copl_core.api import ConfigError
from copl_core.config import Schedule, check_config
from copl_core.plugins import Component, ComponentTable, PluginStatus
from copl_core.registry import Registry

MODULE = """
class Encoder:
    kind = "backbone"
    def __init__(self, *, model: str, weights: str = "timm"): ...

class Tuner:
    kind = "tuner"
    context = ("layout",)
    def __init__(self, *, layout, length: int = 20): ...

class Task:
    kind = "task"
    def __init__(self, *, root: str): ...
"""


@pytest.fixture
def registry(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "fake_schema_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    targets = [("backbone", "swin", "Encoder"), ("tuner", "copl", "Tuner"), ("task", "avs", "Task")]
    components = [Component(*each[:2], f"fake_schema_parts:{each[2]}", "", "x", "x", "1") for each in targets]
    return Registry(ComponentTable(components, (), [PluginStatus("x", "x", "1", "loaded")]))


def config(**changes: Any) -> dict[str, Any]:
    base = {
        "encoders": {"visual": {"type": "swin", "model": "tiny"}, "audio": "shared"},
        "tuner": {"type": "copl"},
        "task": {"type": "avs", "root": "data"},
        "schedule": {"epochs": 3, "batch_size": 4, "prompt_lr": 1e-3, "head_lr": 1},
    }
    return {**base, **changes}


def schedule(**changes: Any) -> dict[str, Any]:
    return {**config()["schedule"], **changes}


def problems(registry: Registry, broken: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check_config(broken, registry, "configs/a.yaml")
    first, *rest = str(caught.value).splitlines()
    assert first == f"configs/a.yaml: {len(rest)} problem{'s' if len(rest) > 1 else ''}"
    return [line.strip() for line in rest]


def test_a_good_config_becomes_an_experiment(registry: Registry) -> None:
    source = config(seed=7)
    experiment = check_config(source, registry, "a.yaml")
    assert experiment.visual == {"type": "swin", "model": "tiny"}
    assert experiment.audio is None
    assert experiment.tuner == {"type": "copl"}
    assert experiment.task == {"type": "avs", "root": "data"}
    assert experiment.schedule == Schedule(epochs=3, batch_size=4, prompt_lr=1e-3, head_lr=1.0)
    assert type(experiment.schedule.head_lr) is float
    assert (experiment.seed, experiment.protocol) == (7, "standard")
    assert experiment.source == source


def test_two_encoders(registry: Registry) -> None:
    audio = {"type": "swin", "model": "other"}
    experiment = check_config(config(encoders={"visual": audio, "audio": audio}), registry, "a.yaml")
    assert experiment.audio == audio


def test_everything_wrong_is_told_at_once(registry: Registry) -> None:
    broken = {
        "encoder": {},
        "encoders": {"visual": {"type": "swim", "model": "x"}, "audio": {"type": "swin"}, "vision": 1},
        "tuner": {"type": "copl", "lenght": 3, "layout": 1},
        "schedule": schedule(epochs=0, prompt_lr="1e-3", optimiser="adam", eval_batch_size=0),
        "seed": -1,
        "protocol": "papercompat",
    }
    del broken["schedule"]["batch_size"]
    assert problems(registry, broken) == [
        "encoder: unknown key; did you mean 'encoders'?",
        "encoders.vision: unknown key; known: audio, visual",
        "encoders.visual.type: no backbone named 'swim'. Did you mean 'swin' (from x)?",
        "encoders.audio.model: required by Encoder",
        "tuner.lenght: Tuner has no argument 'lenght'; did you mean 'length'?",
        "tuner.layout: set by the framework: remove it",
        "task: required: the task and its arguments",
        "schedule.prompt_lr: expected float, got str '1e-3'",
        "schedule.optimiser: Schedule has no argument 'optimiser'; did you mean 'optimizer'?",
        "schedule.batch_size: required by Schedule",
        "schedule.epochs: must be at least 1, got 0",
        "schedule.eval_batch_size: must be at least 1, got 0",
        "seed: must be in 0..4294967295, got -1",
        "protocol: expected one of 'standard', 'paper_compat', got str 'papercompat'; did you mean 'paper_compat'?",
    ]


def test_an_empty_config(registry: Registry) -> None:
    assert problems(registry, {}) == [
        "encoders: required: an encoder each under 'visual' and 'audio', got null",
        "tuner: required: the tuner and its arguments",
        "task: required: the task and its arguments",
        "schedule: required: at least epochs, batch_size, prompt_lr, head_lr",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prompt_lr": 0}, "schedule.prompt_lr: must be above 0, got 0"),
        ({"head_lr": -1.0}, "schedule.head_lr: must be above 0, got -1.0"),
        ({"head_lr": float("nan")}, "schedule.head_lr: must be finite, got nan"),
        ({"weight_decay": -0.1}, "schedule.weight_decay: must be at least 0, got -0.1"),
        ({"workers": -1}, "schedule.workers: must be at least 0, got -1"),
        ({"warmup_epochs": 3}, "schedule.warmup_epochs: must be less than epochs (3), got 3"),
        ({"epochs": True}, "schedule.epochs: expected int, got bool True"),
        ({"epochs": 2.5}, "schedule.epochs: expected int, got float 2.5"),
    ],
)
def test_ranges_of_the_schedule(registry: Registry, changes: dict[str, Any], problem: str) -> None:
    assert problems(registry, config(schedule=schedule(**changes))) == [problem]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"encoders": {"visual": {"type": "swin", "model": "x"}}}, "encoders.audio: required: a backbone, or 'shared'"),
        (
            {"encoders": {"visual": "shared", "audio": "shared"}},
            "encoders.visual: expected a backbone: keys and values with 'type', got str 'shared'",
        ),
        (
            {"encoders": {"visual": {"type": "swin", "model": "x"}, "audio": "share"}},
            "encoders.audio: expected a backbone, or 'shared' for the visual one, got str 'share'",
        ),
        ({"schedule": 5}, "schedule: expected keys and values (Schedule), got int 5"),
        ({"tuner": None}, "tuner: required: the tuner and its arguments"),
        ({"seed": "1"}, "seed: expected int, got str '1'"),
        ({"wholly_other": 1}, "wholly_other: unknown key; known: encoders, protocol, schedule, seed, task, tuner"),
    ],
)
def test_single_mistakes(registry: Registry, changes: dict[str, Any], problem: str) -> None:
    (line,) = problems(registry, config(**changes))
    assert line.startswith(problem)
