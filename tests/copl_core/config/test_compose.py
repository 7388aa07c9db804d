import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mmengine
import pytest

from copl_core.api import ConfigError
from copl_core.config import check_config, dump_config, load_config
from copl_core.plugins import ComponentTable, PackagedConfigs
from copl_core.registry import Registry

Write = Callable[[Mapping[str, str]], None]


def error(path: str, table: ComponentTable | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, table=table)
    return str(caught.value)


def problems(path: str) -> list[str]:
    return [str(problem) for problem in load_config(path).problems]


BASES = {
    "base/model.yaml": "model: {type: swin, width: 64, head: {type: mlp, dims: [1, 2]}}\n",
    "base/data.yaml": "data: {root: here, sizes: [96, 64]}\n",
    "base/schedule.py": "schedule = dict(epochs=10, prompt_lr=1e-3, steps=(1, 2))\n",
}
SAME = {
    "py from yaml and py": (
        "a.py",
        "_base_ = ['base/model.yaml', './base/schedule.py']\nmodel = dict(width=32)\nseed = 3\n",
    ),
    "yaml from two yamls": (
        "a.yaml",
        "_base_: [./base/model.yaml, base/data.yaml]\nmodel: {width: 32}\nseed: 3\n",
    ),
    "one base as a string": ("a.yaml", "_base_: base/model.yaml\nmodel: {head: {dims: [3]}}\n"),
    "delete": ("a.yaml", "_base_: base/model.yaml\nmodel: {_delete_: true, type: vit}\n"),
    "delete in py": ("a.py", "_base_ = 'base/model.yaml'\nmodel = dict(head=dict(_delete_=True, type='fc'))\n"),
    "base as a variable": (
        "a.py",
        "_base_ = ['base/model.yaml']\nextra = dict(width=_base_.model.width * 2, head=_base_.model['head'])\n",
    ),
    "base changed in place": ("a.py", "_base_ = ['base/model.yaml']\n_base_.model.width = 5\n"),
    "null and scalars over a block": ("a.yaml", "_base_: base/model.yaml\nmodel: {head: null, width: [1]}\n"),
    "functions and modules stay out": (
        "a.py",
        "import math\nimport math as m\ndef double(x):\n    return 2 * x\nwidth = double(math.sqrt(4))\n",
    ),
    "scalar over a block": ("a.yaml", "_base_: base/model.yaml\nmodel: 5\n"),
    "empty": ("a.yaml", "# nothing\n"),
}


def as_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: as_plain(each) for key, each in value.items()}
    return [as_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("case", SAME)
def test_composing_gives_what_mmengine_gives(write: Write, case: str) -> None:
    name, text = SAME[case]
    write({**BASES, name: text})

    expected = as_plain(mmengine.Config.fromfile(name, lazy_import=False).to_dict())

    assert load_config(name) == expected


def test_the_result_is_plain_data(write: Write) -> None:
    write({**BASES, "a.py": "_base_ = ['base/model.yaml']\nb = (_base_.model, (1, 2))\n"})
    config = load_config("a.py")
    assert type(config["b"]) is list
    assert type(config["b"][0]) is dict
    assert type(config["b"][0]["head"]["dims"]) is list
    assert config["b"][1] == [1, 2]


def test_the_same_experiment_in_py_and_yaml_is_equal(write: Write) -> None:
    write(
        {
            **BASES,
            "a.py": "_base_ = ['base/model.yaml']\n_width = 8\n"
            "model = dict(width=_width, size=(3, 4), bank=None)\nlr = 1e-3\n",
            "a.yaml": "_base_: base/model.yaml\nmodel: {width: 8, size: [3, 4], bank: null}\nlr: 1e-3\n",
        }
    )
    assert load_config("a.py") == load_config("a.yaml")


def test_bases_of_bases_are_relative_to_the_file_that_names_them(write: Write) -> None:
    write({"x/y/a.py": "_base_ = '../b.py'\na = 1\n", "x/b.py": "_base_ = 'z/c.yaml'\nb = 2\n", "x/z/c.yaml": "c: 3\n"})
    assert load_config("x/y/a.py") == {"c": 3, "b": 2, "a": 1}


def test_a_block_may_come_back_after_a_base_removed_it(write: Write) -> None:
    write({"b.yaml": "bank: null\n", "a.yaml": "_base_: b.yaml\nbank: {type: set_bank}\n"})
    assert load_config("a.yaml") == {"bank": {"type": "set_bank"}}


def test_delete_leaves_no_trace_where_there_was_nothing_to_replace(write: Write) -> None:
    write({"a.yaml": "bank: {_delete_: true, type: set_bank}\nlist: [{_delete_: true, x: 1}]\n"})
    assert load_config("a.yaml") == {"bank": {"type": "set_bank"}, "list": [{"x": 1}]}


def test_bases_may_agree_but_not_contradict(write: Write) -> None:
    write({"b.yaml": "x: 1\n", "c.yaml": "x: 1\ny: 2\n", "d.yaml": "x: 9\n", "a.yaml": "_base_: [b.yaml, c.yaml]\n"})
    assert load_config("a.yaml") == {"x": 1, "y": 2}
    write({"a.yaml": "_base_: [b.yaml, d.yaml]\n"})
    assert problems("a.yaml") == [
        "x: a.yaml:1: both 'b.yaml' and 'd.yaml' set it, to different values; "
        "keep one of them as _base_ and write the rest here"
    ]


def test_a_missing_base_names_who_asked_and_what_lies_nearby(write: Write) -> None:
    write({"configs/a.py": "_base_ = ['./bsae.py']\n", "configs/base.py": "", "configs/notes.txt": ""})
    assert error("configs/a.py") == "configs/a.py:1: _base_ './bsae.py' not found; nearby: base.py"
    write({"configs/a.py": "_base_ = ['nowhere/x.py']\n"})
    assert (
        error("configs/a.py") == "configs/a.py:1: _base_ 'nowhere/x.py' not found; there is no folder 'configs/nowhere'"
    )


def test_a_missing_config_names_what_lies_nearby(write: Write) -> None:
    write({"configs/avs_swin.py": "", "configs/zzz.yaml": ""})
    assert error("configs/avs_swim.py") == "configs/avs_swim.py: no such config file; nearby: avs_swin.py"
    assert "a config is a .py or .yaml file" in error("configs/avs_swin.json")
    assert "a config is a .py or .yaml file" in error("configs")


def test_a_circle_of_bases(write: Write) -> None:
    write({"a.yaml": "_base_: b.yaml\n", "b.yaml": "_base_: ./a.yaml\n"})
    assert error("a.yaml") == "a.yaml: _base_ runs in a circle: a.yaml -> b.yaml -> a.yaml"


@pytest.mark.parametrize("references", ["5", "[a.yaml, 5]", "{a: 1}", "null"])
def test_base_must_be_file_names(write: Write, references: str) -> None:
    write({"a.yaml": f"_base_: {references}\n"})
    assert "a.yaml:1: _base_ must be a file name or a list of file names" in error("a.yaml")


def test_a_block_over_something_else(write: Write) -> None:
    write({"b.yaml": "m: {layers: [1, 2]}\n", "a.yaml": "_base_: b.yaml\nm: {layers: {0: x}}\n"})
    assert "a.yaml:2: a key must be a string" in error("a.yaml")
    write({"a.yaml": "_base_: b.yaml\nm: {layers: {'0': x}}\n"})
    assert problems("a.yaml") == [
        "m.layers: a block of keys here, but list [1, 2] in the base; to replace it add `_delete_: true`"
    ]


def test_files_that_contradict_each_other_hide_nothing_else(write: Write) -> None:
    write({"b.yaml": "tuner: copl\nseed: 1\n", "c.yaml": "seed: 2\nschedule: {epochs: many}\n"})
    write({"a.py": "_base_ = ['b.yaml', 'c.yaml']\ntuner = dict(type='copy')\n\nencodes = 1\n"})

    with pytest.raises(ConfigError) as caught:
        check_config(load_config("a.py", ["tunr.x=1"]), Registry(ComponentTable()), "a.py")

    lines = str(caught.value).splitlines()
    for line in (
        "  tuner: a block of keys here, but str 'copl' in the base; to replace it add `_delete_: true` (a.py:2)",
        "  encodes: unknown key; did you mean 'encoders'? (a.py:4)",
        "  schedule.epochs: expected int, got str 'many' (c.yaml:2)",
        "  --cfg-options tunr.x: the config has no key 'tunr'; did you mean 'tuner'?",
        "  tuner.type: no tuner named 'copy'. Known: none. (a.py:2)",
    ):
        assert line in lines
    assert any(line.startswith("  seed: a.py:1: both 'b.yaml' and 'c.yaml' set it") for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = nope\n", "a.py:2: NameError: name 'nope' is not defined"),
        ("a = (\n", "a.py:1: '(' was never closed"),
        ("_base_ = ['b.py']\nx = _base_.nope\n", "a.py:2: AttributeError"),
        ("def f():\n    return 1 / 0\n\nx = f()\n", "a.py:2: ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')\n", "a.py:2: JSONDecodeError"),
        ("import not_there\n", "a.py:1: ModuleNotFoundError: No module named 'not_there'"),
        ("raise SystemExit(3)\n", "a.py:1: SystemExit: 3"),
        ("x = 1\n_base_ = [n for n in 'b']\n", "a.py:2: _base_ must be written out"),
        ("from pathlib import Path\nd = dict(root=[Path('x')])\n", "a.py:2: d.root.0: a config holds plain data"),
        ("d = {'a': {5: 1}}\n", "a.py:1: d.a: a key must be a string, got 5"),
    ],
)
def test_errors_in_a_py_config_name_file_and_line(write: Write, text: str, message: str) -> None:
    write({"a.py": text, "b.py": ""})
    assert error("a.py").startswith(message)


def test_a_yaml_error_in_a_base_names_that_file(write: Write) -> None:
    write({"a.yaml": "_base_: sub/b.yaml\n", "sub/b.yaml": "x: 1\nx: 2\n"})
    assert error("a.yaml") == "sub/b.yaml:2: duplicate key 'x' (first on line 1)"


def test_ordinary_imports_work_in_a_py_config(write: Write) -> None:
    write(
        {
            "b.py": "w = 4\n",
            "a.py": "import math\nfrom math import sqrt\n_base_ = 'b.py'\nx = sqrt(_base_.w) + math.pi\n",
        }
    )
    assert load_config("a.py") == {"w": 4, "x": 2 + 3.141592653589793}


def test_a_packaged_base(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        {
            "site/packaged_x/__init__.py": "raise RuntimeError('finding its configs must not import it')",
            "site/packaged_x/configs/sub/base.yaml": "x: 1\n",
            "a.yaml": "_base_: ext::sub/base.yaml\ny: 2\n",
        }
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    folder = PackagedConfigs("ext", "packaged_x", "configs", "ext_plugin", "ext")
    table = ComponentTable(configs=[folder])

    assert load_config("a.yaml", table=table) == {"x": 1, "y": 2}
    assert "packaged_x" not in sys.modules

    write({"a.yaml": "_base_: ext::sub/bsae.yaml\n"})
    assert error("a.yaml", table) == "a.yaml:1: _base_ 'ext::sub/bsae.yaml' not found; nearby: base.yaml"
    write({"a.yaml": "_base_: ex::sub/base.yaml\n"})
    assert "a.yaml:1: _base_ 'ex::sub/base.yaml': no packaged configs named 'ex'. Did you mean 'ext'" in error(
        "a.yaml", table
    )
    gone = ComponentTable(configs=[PackagedConfigs("ex", "packaged_gone", "configs", "p", "p")])
    assert "names package 'packaged_gone', which is not there" in error("a.yaml", gone)


@pytest.mark.parametrize(
    "reference", ["evil.py", "./sub/../evil.py", "evil.py/x/..", "ext::evil.py", "[fine.yaml, evil.py]"]
)
@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "middle.yaml"])
def test_a_program_below_yaml_is_refused_and_does_not_run(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reference: str
) -> None:
    evil = "open('mark', 'w')\n"
    write({name: f"_base_: {reference}\n", "evil.py": evil, "fine.yaml": "x: 1\n", "sub/x": ""})
    write(
        {"site/packaged_y/__init__.py": "", "site/packaged_y/configs/evil.py": evil, "top.py": f"_base_ = '{name}'\n"}
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    table = ComponentTable(configs=[PackagedConfigs("ext", "packaged_y", "configs", "p", "p")])

    for config in (name, "top.py"):
        assert "is a program, and a YAML config runs nothing" in error(config, table)
    assert not Path("mark").exists()


def test_a_dumped_config_reads_back_equal(write: Write) -> None:
    config = {"tuner": {"type": "copl", "prompts": {"a": None, "b": {"lr": 1e-05, "s": "1e-3"}}}, "list": [1, [2.0]]}
    write({"a.yaml": dump_config(config)})
    assert load_config("a.yaml") == config
    assert list(load_config("a.yaml")) == ["tuner", "list"]
