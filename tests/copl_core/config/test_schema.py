from typing import Any

import pytest

from copl_core.api import ConfigError
from copl_core.config import ModelBlocks, Schedule, check_config, check_model
from copl_core.plugins import Component, ComponentTable, PluginStatus
from copl_core.registry import Registry

MODULE = """
from pathlib import Path
from copl_core.contracts import Dataset, Factory

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

class Data:
    kind = "dataset"
    context = ("split",)
    def __init__(self, *, folder: Path, split: str, lists: Path | None = None, edition: str = "json"): ...

class WithData:
    kind = "task"
    def __init__(self, *, dataset: Factory[Dataset], table: Path): ...
"""


@pytest.fixture
def registry(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "fake_schema_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    targets = [("backbone", "swin", "Encoder"), ("tuner", "copl", "Tuner"), ("task", "avs", "Task")]
    components = [component(*each) for each in targets]
    return Registry(ComponentTable(components, (), [PluginStatus("x", "copl", "1", "loaded")]))


def component(kind: str, name: str, target: str, plugin: str = "x", distribution: str = "copl") -> Component:
    return Component(kind, name, f"fake_schema_parts:{target}", "", plugin, distribution, "1")


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
            "encoders.audio: expected a backbone, or 'shared' for the visual one, got str 'share'; "
            "did you mean 'shared'?",
        ),
        ({"schedule": 5}, "schedule: expected keys and values (Schedule), got int 5"),
        ({"tuner": None}, "tuner: required: the tuner and its arguments"),
        ({"seed": "1"}, "seed: expected int, got str '1'"),
        ({"wholly_other": 1}, "wholly_other: unknown key; known: compute, encoders, loggers, plugins, protocol, "),
    ],
)
def test_single_mistakes(registry: Registry, changes: dict[str, Any], problem: str) -> None:
    (line,) = problems(registry, config(**changes))
    assert line.startswith(problem)


def test_names_are_kept_so_that_no_later_installation_takes_them(registry: Registry) -> None:
    theirs = component("tuner", "theirs", "Tuner", "ext", "copl-ext")
    own = Registry(ComponentTable([*registry.table.components(), theirs]))
    source = config(tuner={"type": "theirs"}, task={"type": "x.avs", "root": "data"})
    experiment = check_config(source, own, "a.yaml")

    assert experiment.tuner == {"type": "ext.theirs"}
    assert experiment.task["type"] == "avs"
    assert experiment.source == {**source, "tuner": experiment.tuner, "task": experiment.task}
    assert source["tuner"]["type"] == "theirs"
    assert check_model(source, own, "a.yaml").tuner == {"type": "ext.theirs"}

    # Another package brings the name; then copl itself.
    other = component("tuner", "theirs", "Task", "other", "copl-other")
    first = component("tuner", "theirs", "Task", "x")
    for more in ([other], [other, first]):
        later = Registry(ComponentTable([*own.table.components(), *more]))
        assert check_config(experiment.source, later, "a.yaml").tuner == {"type": "ext.theirs"}


def test_what_says_where_a_data_set_lies_is_known_by_its_annotation(registry: Registry) -> None:
    parts = [component("dataset", "data", "Data"), component("task", "with_data", "WithData")]
    own = Registry(ComponentTable([*registry.table.components(), *parts]))
    data = {"type": "data", "folder": "/data", "edition": "new"}
    source = config(task={"type": "with_data", "dataset": data, "table": "x.csv"})

    experiment = check_config(source, own, "a.yaml")

    assert experiment.places == ["task.dataset.folder", "task.dataset.lists"]
    assert check_config(config(), registry, "a.yaml").places == []


def test_a_config_may_do_without_a_plugin(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    twins = [component("tuner", "twin", "Tuner", plugin, plugin) for plugin in ("one", "two")]
    statuses = [PluginStatus(plugin, plugin, "1", "loaded") for plugin in ("one", "two")]
    both = Registry(ComponentTable([*registry.table.components(), *twins], (), statuses))
    assert "provided by more than one plugin" in problems(both, config(tuner={"type": "twin"}))[0]

    chosen = config(tuner={"type": "twin"}, plugins={"disable": ["one"]})
    experiment = check_config(chosen, both, "a.yaml")
    assert experiment.tuner == {"type": "two.twin"}
    assert experiment.source["plugins"] == {"disable": ["one"]}
    assert check_model(chosen, both, "a.yaml").tuner == {"type": "two.twin"}
    assert problems(both, config(tuner={"type": "one.twin"}, plugins={"disable": ["one"]})) == [
        "tuner.type: no tuner 'one.twin': plugin 'one' is not loaded (disabled by the config)."
    ]
    assert caplog.messages == []

    check_config(config(plugins={"disable": ["tow"]}), both, "a.yaml")
    assert caplog.messages == ["plugins.disable: no plugin 'tow'; did you mean 'two'?"]


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("one", "plugins: expected keys and values (Plugins), got str 'one'"),
        ({"disable": "one"}, "plugins.disable: expected a list, got str 'one'"),
        ({"disabled": []}, "plugins.disabled: Plugins has no argument 'disabled'; did you mean 'disable'?"),
    ],
)
def test_mistakes_in_the_block_of_plugins(registry: Registry, block: Any, problem: str) -> None:
    assert problems(registry, config(plugins=block)) == [problem]


def test_a_model_needs_no_task_and_no_schedule(registry: Registry) -> None:
    blocks = config(schedule={"epochs": "many"})
    visual, tuner, task = blocks["encoders"]["visual"], blocks["tuner"], blocks["task"]
    assert check_model(blocks, registry, "a.yaml") == ModelBlocks(visual=visual, audio=None, tuner=tuner, task=task)
    del blocks["task"], blocks["schedule"]
    assert check_model(blocks, registry, "a.yaml") == ModelBlocks(visual=visual, audio=None, tuner=tuner, task=None)


def test_everything_wrong_with_a_model_is_told_at_once(registry: Registry) -> None:
    broken = {"encoders": {"visual": {"type": "swin"}, "audio": "shared"}, "task": {"type": "avs"}, "taks": {}}
    with pytest.raises(ConfigError) as caught:
        check_model(broken, registry, "a.yaml")
    assert str(caught.value).splitlines() == [
        "a.yaml: 4 problems",
        "  taks: unknown key; did you mean 'task'?",
        "  encoders.visual.model: required by Encoder",
        "  tuner: required: the tuner and its arguments",
        "  task.root: required by Task",
    ]
