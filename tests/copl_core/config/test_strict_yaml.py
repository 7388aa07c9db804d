import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import mmengine
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copl_core.api import ConfigError
from copl_core.config import mmengine_yaml  # noqa: F401 - MMEngine then reads YAML by our rules
from copl_core.config.strict_yaml import dump_yaml, parse_mapping, parse_value, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-7", -7),
        ("0", 0),
        ("0.0", 0.0),
        (".inf", math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("None", "None"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("'012'", "012"),
        ("[1, 2e-4, x]", [1, 2e-4, "x"]),
    ],
)
def test_scalars_are_what_yaml_1_2_says(text: str, value: Any) -> None:
    result = parse_mapping(f"a: {text}\n", "f")["a"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3: duplicate key 'a' (first on line 1)"),
        ("a:\n  x: 1\n  x: 2\n", "c.yaml:3: duplicate key 'x' (first on line 2)"),
        ("a: 1\n5: x\n", "c.yaml:2: a key must be a string: write '5' in quotes"),
        ("true: x\n", "c.yaml:1: a key must be a string: write 'true' in quotes"),
        ("a: 012\n", "c.yaml:1: ambiguous number 012: write a decimal without leading zero, or a string in quotes"),
        ("a: 0x1F\n", "c.yaml:1: ambiguous number 0x1F"),
        ("a:\n\tb: 1\n", "c.yaml:2: tabs are not allowed for indentation: use spaces"),
        ("a: [1, 2\nb: 3\n", "c.yaml:2: while parsing a flow sequence"),
        ("- 1\n- 2\n", "c.yaml:1: expected keys and values at the top, got list"),
        ("just text\n", "c.yaml:1: expected keys and values at the top, got str"),
        ("a: !!python/name:os.system\n", "c.yaml:1: tag '!!python/name:os.system' is not allowed"),
        ("a: !mine 5\n", "c.yaml:1: tag '!mine' is not allowed"),
        ("a: &x [*x]\n", "c.yaml:1: anchors (&) and aliases (*) are not supported"),
        ("a: {{_base_.width}}\n", "c.yaml:1: a key must be a string; templates like '{{_base_.x}}' need a .py config"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2: expected a single document"),
        ("a: 1\nb: \x07\n", "c.yaml:2: character 7 is not allowed"),
        ("a: " + "[" * 5000 + "\n", "c.yaml: nested too deeply"),
    ],
)
def test_what_is_refused_is_told_with_file_and_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_mapping(text, "c.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert parse_mapping(text, "c.yaml") == {}


EVIL = [
    "a: !!python/object/apply:os.system ['touch {mark}']\n",
    "a: !!python/object/new:os.system ['touch {mark}']\n",
    "a: !!python/object/apply:builtins.exec [\"open('{mark}', 'w')\"]\n",
    "? !!python/object/apply:os.system ['touch {mark}']\n: 1\n",
]


@pytest.mark.parametrize("text", EVIL)
def test_a_tag_that_would_execute_is_refused_also_by_mmengine_and_nothing_runs(tmp_path: Path, text: str) -> None:
    mark, path = tmp_path / "mark", tmp_path / "evil.yaml"
    path.write_text(text.replace("{mark}", str(mark)))

    with pytest.raises(ConfigError, match="is not allowed: a YAML config holds plain data"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="is not allowed"):
        mmengine.load(str(path))
    with pytest.raises(ConfigError, match="is not allowed"):
        mmengine.Config.fromfile(str(path))

    assert not mark.exists()


def test_a_yaml_config_is_read_without_mmengine_and_a_python_config_gets_its_strict_reader(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("lr: 1e-3\n")
    (tmp_path / "evil.yaml").write_text("lr: !!python/name:os.getcwd\n")
    (tmp_path / "reads.py").write_text("import mmengine\nlr = mmengine.load('evil.yaml')['lr']\n")
    code = (
        "import sys\nfrom copl_core.config import load_config\n"
        "print(load_config('plain.yaml')['lr'], 'mmengine' in sys.modules)\nload_config('reads.py')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "0.001 False\n"
    assert "ConfigError: reads.py:2: " in done.stderr
    assert "is not allowed" in done.stderr


def test_mmengine_reads_and_writes_yaml_by_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("lr: 1e-3\nflag: no\n")
    assert mmengine.load(str(path)) == {"lr": 0.001, "flag": "no"}
    mmengine.dump({"b": "1e-3", "a": [1]}, str(path))
    assert read_yaml(path) == {"b": "1e-3", "a": [1]}
    assert mmengine.dump({"a": "no"}, file_format="yaml") == dump_yaml({"a": "no"})


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: cannot be read: .*utf-8"):
        read_yaml(path)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(path) == {"a": 1}


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.sampled_from(["1e-3", "012", "no", "null", "~", "", "true", "0x1F", "-", "a: b", "#", "{", "<<", "=", "1_0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1~", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_written_reads_back_equal(value: Any) -> None:
    again = parse_value(dump_yaml(value), "f")
    assert again == value
    assert repr(again) == repr(value)


def test_dumping_keeps_order_and_repeats_what_occurs_twice() -> None:
    block = {"z": 1}
    assert dump_yaml({"b": block, "a": block}) == "b:\n  z: 1\na:\n  z: 1\n"
