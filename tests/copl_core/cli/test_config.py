"""copl config, and what a person reads after each typical mistake."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from copl_core.cli.main import main
from copl_core.config import load_config
from copl_core.plugins.discovery import reset_table
from plugin_packages import add_distribution, plugins_in

DEMO = "configs/demo/avs_swin_nano_shared.yaml"
COMMAND = [sys.executable, "-c", "from copl_core.cli.main import main; raise SystemExit(main())"]


@pytest.fixture
def copl(capsys, repository, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """Run ``copl config`` in the repository; returns exit code, output and message."""
    monkeypatch.chdir(repository)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["config", *map(str, arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return run


@pytest.fixture
def write(tmp_path, repository) -> Callable[..., Path]:
    """Write a config based on the demo's."""

    def write_config(text: str, name: str = "a.yaml") -> Path:
        path = tmp_path / name
        path.write_text(f"_base_: {repository / DEMO}\n{text}")
        return path

    return write_config


def test_shipped_configs_are_all_right(copl, repository):
    files = sorted(
        map(str, [*(repository / "configs").glob("*.py"), *(repository / "configs" / "demo").glob("*.yaml")])
    )
    code, out, _ = copl("check", *files)
    assert code == 0
    assert out.splitlines() == [f"{file}: no problems" for file in files]


MISTAKES = """\
default_hooks:
  chekpoint: {interval: 1}
shedule: {epochs: 3}
encoders:
  visual: {type: swim_nano}
schedule:
  prompt_lr: fast
  epochz: 3
tuner:
  prompts:
    frame: {type: frame_prompts, sdt: 5}
    interaction:
      mapper: {_delete_: true, type: bottleneck}
      bank: {type: nopkg.bank}
    global: {type: prompt_bank}
task:
  dataset:
    audio: {meen: 1}
"""


def test_everything_wrong_is_told_at_once_with_file_line_path_and_suggestion(copl, write, repository):
    path = write(MISTAKES)
    options = ["schedule.workers=-1", "tunr.type=x", "task.head.channels=many", "compute.precison=bf16"]
    code, _, message = copl("check", path, "--cfg-options", *options)
    assert code == 2
    installed = (
        "copl_ave, copl_avqa, copl_avs, copl_configs, copl_dgsct, copl_fusion, copl_htsat, copl_lavish, copl_losses"
    )
    known = "compute, encoders, loggers, plugins, protocol, schedule, seed, task, tuner"
    first, *problems = message.splitlines()
    assert first == f"copl config: {path}: {len(problems)} problems"
    assert sorted(line.replace(str(path), "a.yaml") for line in problems) == sorted(
        [
            "  --cfg-options tunr.type: the config has no key 'tunr'; did you mean 'tuner'?",
            f"  default_hooks: unknown key; known: {known} (a.yaml:2)",
            "  shedule: unknown key; did you mean 'schedule'? (a.yaml:4)",
            "  encoders.visual.type: no backbone named 'swim_nano'. Did you mean 'swin_nano' (from copl_synth)? "
            "(a.yaml:6)",
            "  schedule.prompt_lr: expected float, got str 'fast' (a.yaml:8)",
            "  schedule.epochz: Schedule has no argument 'epochz'; did you mean 'epochs'? (a.yaml:9)",
            "  schedule.workers: must be at least 0, got -1 (--cfg-options schedule.workers=-1)",
            "  tuner.prompts.frame.sdt: FramePrompts has no argument 'sdt'; did you mean 'std'? (a.yaml:12)",
            "  tuner.prompts.interaction.mapper.width: required by Bottleneck (a.yaml:14)",
            "  tuner.prompts.interaction.bank.type: no bank 'nopkg.bank': unknown plugin 'nopkg'; "
            f"installed: {installed}, copl_prompts, copl_swin, copl_synth, copl_vit. (a.yaml:15)",
            "  tuner.prompts.global.type: no prompt named 'prompt_bank'. 'prompt_bank' exists as a bank. (a.yaml:16)",
            "  task.dataset.audio.meen: AudioRecipe has no argument 'meen'; did you mean 'mean'? (a.yaml:19)",
            "  task.head.channels: expected int, got str 'many' (--cfg-options task.head.channels=many)",
            "  compute.precison: Compute has no argument 'precison'; did you mean 'precision'? "
            "(--cfg-options compute.precison=bf16)",
        ]
    )


def test_parts_of_an_unknown_component_are_checked_as_far_as_they_can_be(copl, write):
    text = (
        "tuner: {type: cpol, prompts: {frame: {sdt: 5}, more: {type: frame_promts}}}\n"
        "task:\n  type: avs_s5\n  dataset: {audio: {meen: 1}}\n  head: {chanels: 3}\n"
    )
    path = write(text)
    code, _, message = copl("check", path)
    assert code == 2
    assert [line.replace(str(path), "a.yaml").strip() for line in message.splitlines()[1:]] == [
        "tuner.type: no tuner named 'cpol'. Did you mean 'copl' (from copl_prompts)? (a.yaml:2)",
        "tuner.prompts.frame.sdt: FramePrompts has no argument 'sdt'; did you mean 'std'? (a.yaml:2)",
        "tuner.prompts.more.type: no prompt named 'frame_promts'. Did you mean 'frame_prompts' (from copl_prompts)? "
        "(a.yaml:2)",
        "task.type: no task named 'avs_s5'. Did you mean 'avs_s4' (from copl_avs)? (a.yaml:4)",
        "task.dataset.audio.meen: AudioRecipe has no argument 'meen'; did you mean 'mean'? (a.yaml:5)",
        "task.head.chanels: AvsDecoder has no argument 'chanels'; did you mean 'channels'? (a.yaml:6)",
    ]


def test_a_mistake_in_a_base_is_told_where_it_stands(copl, tmp_path, write):
    write("\nschedule:\n\n  epochs: many\n", "base.yaml")
    child = tmp_path / "child.py"
    child.write_text("_base_ = ['base.yaml']\nschedule = dict(\n    batch_size=2,\n    head_lr='1e-3',\n)\n")
    _, _, message = copl("check", child)
    assert message.splitlines()[1:] == [
        f"  schedule.epochs: expected int, got str 'many' ({tmp_path / 'base.yaml'}:5)",
        f"  schedule.head_lr: expected float, got str '1e-3' ({child}:4)",
    ]


def test_missing_bases_are_all_told(copl, tmp_path):
    for name in ("swin.yaml", "copl.yaml"):
        (tmp_path / name).touch()
    child = tmp_path / "a.py"
    child.write_text("_base_ = [\n    './swim.yaml',\n    'cpol.yaml',\n]\n")
    code, _, message = copl("check", child)
    assert code == 2
    assert message.splitlines() == [
        f"copl config: {child}:2: _base_ './swim.yaml' not found; nearby: swin.yaml",
        f"{child}:3: _base_ 'cpol.yaml' not found; nearby: copl.yaml",
    ]


def test_a_plugin_that_is_not_loaded_is_named_where_a_component_is_missing(copl, write, tmp_path, monkeypatch):
    install(tmp_path / "site", "foo", "import nope\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("COPL_LOAD_PLUGINS", "foo")
    reset_table()
    try:
        path = write("encoders: {visual: {type: swim}}\n")
        _, _, message = copl("check", path)
    finally:
        reset_table()
    assert message.splitlines()[-1] == (
        "  encoders.visual.type: no backbone named 'swim'. Did you mean 'swin' (from copl_swin)? "
        f"Plugins not loaded: foo (ModuleNotFoundError: No module named 'nope'). ({path}:2)"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: !!python/object/apply:os.system ['touch {mark}']\n",
            "tag '!!python/object/apply:os.system' is not allowed",
        ),
        ("tuner: {_delete_: true, type: os.system, command: touch {mark}}\n", "no tuner 'os.system': unknown plugin"),
        ("tuner: {_delete_: true, type: 'os:system', command: touch {mark}}\n", "no tuner named 'os:system'."),
        ("_base_: evil.yaml\n", "evil.yaml:1: tag '!!python/name:os.system' is not allowed"),
        ("_base_: evil.py\n", "_base_ 'evil.py' is a program, and a YAML config runs nothing"),
        ("_base_: [fine.yaml, evil.py]\n", "_base_ 'evil.py' is a program, and a YAML config runs nothing"),
        ("_base_: 'os::system'\n", "no packaged configs named 'os'"),
        ("'{{_base_.x}}': 1\ntask: '{{ __import__(\"os\").system(\"touch {mark}\") }}'\n", "task: expected a task"),
    ],
)
def test_yaml_runs_nothing(copl, write, tmp_path, text, told):
    mark = tmp_path / "mark"
    (tmp_path / "evil.yaml").write_text("a: !!python/name:os.system ''\n")
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (tmp_path / "fine.yaml").write_text("seed: 1\n")
    path = tmp_path / "a.yaml"
    if text.startswith("_base_"):
        path.write_text(text)
    else:
        path = write(text.replace("{mark}", str(mark)))
    code, _, message = copl("check", path)
    assert code == 2
    assert told in message
    for command in ("show", "diff"):
        copl(command, path, *([path] if command == "diff" else []))
    assert not mark.exists()


def test_an_option_runs_nothing(copl, tmp_path):
    mark = tmp_path / "mark"
    option = f"tuner={{type: copl, x: !!python/object/apply:os.system ['touch {mark}']}}"
    code, _, message = copl("check", DEMO, "--cfg-options", option)
    assert code == 2
    assert "tag '!!python/object/apply:os.system' is not allowed" in message
    assert not mark.exists()


def test_show_prints_what_a_run_would_get(copl):
    options = ["--cfg-options", "seed=5", "tuner.prompts.frame=null"]
    code, out, _ = copl("show", DEMO, *options)
    assert code == 0
    assert yaml.safe_load(out) == load_config(DEMO, options[1:])
    code, out, _ = copl("show", DEMO, "--origin", *options)
    assert "seed: 5  # --cfg-options seed=5" in out
    assert "    type: prompt_bank" in out
    assert "  epochs: 5  # configs/_base_/schedules/demo.yaml:3" in out
    code, _, message = copl("show", DEMO, "--cfg-options", "tunr.x=1")
    assert code == 2
    assert message.splitlines() == [
        f"copl config: {DEMO}: 1 problem",
        "  --cfg-options tunr.x: the config has no key 'tunr'; did you mean 'tuner'?",
    ]


@pytest.mark.parametrize("command", [["show"], ["diff", DEMO]])
def test_what_contradicts_its_base_is_not_shown(copl, write, command):
    path = write("seed: {a: 1}\n")
    (path.parent / "b.yaml").write_text("_base_: a.yaml\nprotocol: standard\n")
    (path.parent / "c.yaml").write_text("seed: 1\n")
    path.write_text(f"_base_: c.yaml\n{path.read_text().partition(chr(10))[2]}")
    code, out, message = copl(*command, path.parent / "b.yaml")
    assert (code, out) == (2, "")
    assert (
        f"  seed: a block of keys here, but int 1 in the base; to replace it add `_delete_: true` ({path}:2)" in message
    )


def test_diff_tells_equal_from_different(copl, write):
    assert copl("diff", DEMO, DEMO) == (0, "", "")
    other = write("schedule: {epochs: 9}\n")
    code, out, _ = copl("diff", DEMO, other)
    assert code == 1
    assert out.splitlines() == [
        f"--- {DEMO}",
        f"+++ {other}",
        "- schedule.epochs: 5  # configs/_base_/schedules/demo.yaml:3",
        f"+ schedule.epochs: 9  # {other}:2",
    ]


def test_schema_is_one_json_document_that_the_demo_passes(copl, repository):
    code, out, _ = copl("schema")
    assert code == 0
    jsonschema.validate(yaml.safe_load((repository / DEMO).read_text()), json.loads(out))


@pytest.mark.parametrize("task", ["avs", "ave", "avqa"])
def test_the_same_experiment_in_python_is_the_same_dictionary(tmp_path, repository, task):
    path = repository / "configs" / "demo" / f"{task}_swin_nano_shared.yaml"
    assert load_config(path) == load_config(as_python(path, tmp_path))


@pytest.mark.parametrize("path", ["ave_swin_htsat.py", "avs_ms3_swin_shared.py", "avqa_vit_shared.py"])
def test_the_same_experiment_in_yaml_is_the_same_dictionary(tmp_path, repository, path):
    names: dict = {}
    exec((repository / "configs" / path).read_text(), names)
    values = {key: value for key, value in names.items() if not key.startswith("__")}
    values["_base_"] = [str(repository / "configs" / base) for base in values["_base_"]]
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values))
    assert load_config(repository / "configs" / path) == load_config(tmp_path / "a.yaml")


def as_python(path: Path, folder: Path) -> Path:
    """Write a YAML config and all its bases as .py files, by PyYAML and ``repr``; returns the file."""
    values = yaml.safe_load(path.read_text().replace("e-", ".0e-"))
    if "_base_" in values:
        values["_base_"] = [as_python((path.parent / base).resolve(), folder).name for base in values["_base_"]]
    written = folder / f"{path.parent.name}_{path.stem}.py"
    written.write_text("".join(f"{key} = {value!r}\n" for key, value in values.items()))
    return written


def install(site: Path, plugin: str, code: str) -> None:
    """Install a plugin of one module."""
    add_distribution(site, plugin, {plugin: f"fake_{plugin}"})
    (site / f"fake_{plugin}.py").write_text(code)


def process_time(*arguments: str, **environment: str) -> float:
    """CPU seconds of a fresh ``copl``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*COMMAND, *arguments], check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("command", [["check", DEMO], ["show", DEMO, "--origin"], ["schema"]])
def test_answers_at_once_with_twenty_more_plugins_and_without_torch(tmp_path, repository, monkeypatch, command):
    monkeypatch.chdir(repository)
    for number in range(20):
        name = f"plugin_{number}"
        parts = ", ".join(f'ComponentSpec("bank", "{name}_{i}", "fake_{name}_parts:Bank{i}")' for i in range(5))
        hook = f"@hookimpl\ndef copl_components():\n    return [{parts}]\n"
        install(tmp_path / "site", name, f"from copl_core.api import ComponentSpec, hookimpl\n{hook}")
        classes = "".join(
            f"class Bank{i}(Bank):\n    def __init__(self, *, width: int, length: int, size: int = 3): ...\n"
            "    def forward(self, queries): ...\n"
            for i in range(5)
        )
        (tmp_path / "site" / f"fake_{name}_parts.py").write_text(
            f"import torch\nfrom copl_core.contracts import Bank\n{classes}"
        )
    # An import of torch would show as a failure, not only as time.
    (tmp_path / "site" / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    variables = {"PYTHONPATH": str(tmp_path / "site"), "COPL_LOAD_PLUGINS": ",".join(plugins_in([tmp_path / "site"]))}
    seconds = min(process_time("config", *command, **variables) for _ in range(3))
    assert seconds < 0.7, f"{seconds:.2f} s"
