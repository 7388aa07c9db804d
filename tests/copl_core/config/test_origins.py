"""Where values come from. The lines are counted by hand in the texts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copl_core.api import ConfigError
from copl_core.config import load_config
from copl_core.config.explain import differences, show_origins
from copl_core.config.origins import paths
from copl_core.config.strict_yaml import dump_yaml, parse_mapping

Write = Callable[[Mapping[str, str]], None]

BASE = """\
# a comment
tuner:
  type: copl
  prompts:
    frame: {type: frame_prompts,
            length: 5}
    list:
      - 1
      - {a: 2}
"""


def origins(path: str, *options: str) -> dict[str, str]:
    config = load_config(path, options)
    return {key: str(origin) for key, origin in config.origins.items()}


def test_yaml_keys_and_items(write: Write) -> None:
    write({"b.yaml": BASE})
    found = origins("b.yaml")
    assert found == {
        "tuner": "b.yaml:2",
        "tuner.type": "b.yaml:3",
        "tuner.prompts": "b.yaml:4",
        "tuner.prompts.frame": "b.yaml:5",
        "tuner.prompts.frame.type": "b.yaml:5",
        "tuner.prompts.frame.length": "b.yaml:6",
        "tuner.prompts.list": "b.yaml:7",
        "tuner.prompts.list.0": "b.yaml:8",
        "tuner.prompts.list.1": "b.yaml:9",
        "tuner.prompts.list.1.a": "b.yaml:9",
    }


def test_what_a_file_writes_over_its_base(write: Write) -> None:
    write(
        {
            "b.yaml": BASE,
            "a.yaml": "_base_: b.yaml\ntuner:\n  prompts:\n    frame: {length: 6}\n    list: [3]\n",
            "d.yaml": "_base_: a.yaml\ntuner:\n  prompts: {_delete_: true, new: 1}\n",
        }
    )
    config = load_config("a.yaml")
    expected = {
        "tuner.type": "b.yaml:3",
        "tuner.prompts.frame.type": "b.yaml:5",
        "tuner.prompts.frame.length": "a.yaml:4",
        "tuner.prompts.list.0": "a.yaml:5",
        # Nothing is left of the base's list; what isn't there lies in the list.
        "tuner.prompts.list.1.a": "a.yaml:5",
        "tuner.prompts.frame.missing": "a.yaml:4",
    }
    assert {path: str(config.origin(path)) for path in expected} == expected
    assert "tuner.prompts.frame" not in load_config("d.yaml").origins
    assert str(load_config("d.yaml").origin("tuner.prompts.new")) == "d.yaml:3"
    assert config.origin("schedule") is None


PYTHON = """\
import math
_base_ = ["b.yaml"]
_width = 3
tuner = dict(
    prompts={
        "frame": dict(length=_width),
        "made": {str(i): i for i in range(2)},
    },
)
schedule = {}
schedule["epochs"] = 5
if _width > 2:
    schedule = dict(epochs=6,
                    steps=[1,
                           2])
def helper():
    schedule = 1
_base_.tuner.type = "vpt"
"""


def test_python_configs(write: Write) -> None:
    write({"b.yaml": BASE, "a.py": PYTHON})
    config = load_config("a.py")
    expected = {
        "tuner": "a.py:4",
        "tuner.prompts.frame.length": "a.py:6",
        "tuner.prompts.frame.type": "b.yaml:5",
        "tuner.prompts.made.1": "a.py:7",
        "tuner.type": "a.py:18",
        "schedule.epochs": "a.py:13",
        "schedule.steps.1": "a.py:15",
    }
    assert {path: str(config.origin(path)) for path in expected} == expected


def test_a_base_changed_in_an_untraceable_way_is_still_told_by_its_file(write: Write) -> None:
    write({"b.yaml": BASE, "a.py": "_base_ = 'b.yaml'\n_base_.tuner.prompts.update(frame=None)\n"})
    assert str(load_config("a.py").origin("tuner.prompts.frame")) == "a.py"


def test_options_come_last(write: Write) -> None:
    write({"b.yaml": BASE})
    found = load_config("b.yaml", ["tuner.prompts.frame={type: x}", "tuner.prompts.list.0=7"])
    assert str(found.origin("tuner.prompts.frame.type")) == "--cfg-options tuner.prompts.frame={type: x}"
    assert str(found.origin("tuner.prompts.list.0")) == "--cfg-options tuner.prompts.list.0=7"
    assert str(found.origin("tuner.prompts.list.1.a")) == "b.yaml:9"


def test_every_value_of_a_shipped_config_has_its_file_and_line(repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    text = show_origins(load_config("configs/ave_swin_htsat.py"))
    assert "width: 17  # configs/ave_swin_htsat.py:10\n" in text
    for line in text.splitlines():
        if not line.endswith(":"):
            value, _, origin = line.strip().partition("  # ")
            file, _, number = origin.rpartition(":")
            key = value.partition(":")[0]
            assert key in (repository / file).read_text().splitlines()[int(number) - 1]


def test_a_config_shown_with_origins_reads_back_equal(write: Write) -> None:
    write({"a.py": "a = dict(long='x ' * 200, two='one\\ntwo\\n', empty={}, none=None, list=[[], 'it: #1'], t=(1,))\n"})
    config = load_config("a.py")
    text = show_origins(config)
    assert parse_mapping(text, "shown") == config
    assert text.count("# a.py:1") == 7


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "a: b", "two\nlines", "# no comment", "1e-3"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
FILE = st.dictionaries(st.sampled_from("abc"), PLAIN, max_size=3)


@settings(max_examples=60, deadline=None)
@given(base=FILE, own=FILE)
def test_every_value_has_an_origin_in_the_file_that_holds_it(
    tmp_path_factory: pytest.TempPathFactory, base: dict[str, Any], own: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("origins")
    texts = {"b.yaml": dump_yaml(base), "a.yaml": dump_yaml({**own, "_base_": "b.yaml"})}
    for name, text in texts.items():
        (folder / name).write_text(text)
    try:
        config = load_config(folder / "a.yaml")
    except ConfigError:  # a block over something else
        return
    for path, _ in paths(config):
        origin = config.origins[path]
        key = path.rpartition(".")[2]
        line = texts[Path(origin.source).name].splitlines()[origin.line - 1]
        assert key.isdecimal() or f"{key}:" in line
    assert parse_mapping(show_origins(config), "shown") == config


def test_differences(write: Write) -> None:
    write(
        {
            "a.yaml": "same: 1\nblock: {x: 1, y: [1, 2], gone: {deep: 'no'}}\nkind: {type: a}\n",
            "b.yaml": "kind: shared\nsame: 1\nblock:\n  x: 1.0\n  y: [1, 3]\n  new: '5'\n",
        }
    )
    assert list(differences(load_config("a.yaml"), load_config("b.yaml"))) == [
        "- block.x: 1  # a.yaml:2",
        "+ block.x: 1.0  # b.yaml:4",
        "- block.y: [1, 2]  # a.yaml:2",
        "+ block.y: [1, 3]  # b.yaml:5",
        "- block.gone.deep: no  # a.yaml:2",
        "- kind.type: a  # a.yaml:3",
        "+ kind: shared  # b.yaml:1",
        "+ block.new: '5'  # b.yaml:6",
    ]
    assert list(differences(load_config("a.yaml"), load_config("a.yaml"))) == []
