"""The config readers: YAML, Python, options of the command line, and the check against what components take."""

import ast
import json
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from copl_core.api import ConfigError, CoplError
from copl_core.config import check_config, dump_config, load_config
from copl_core.plugins import get_table
from copl_core.registry import Registry
from fuzzing import ANYTHING, altered, damaged, fuzz, nothing_runs

CONFIG = "configs/demo/avs_swin_nano_shared.yaml"
TOKENS = (
    b": ", b"- ", b"\n  ", b"\t", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"!!python/object/apply:os.system [id]",
    b"<<: ",
    b"1e-3", b"012", b".nan", b"null", b"~", b"'", b'"', b"|\n", b"%YAML 9.9\n", b"---\n", b"...\n", b"? ", b"#",
    b"_base_: ", b"_delete_: true", b"{{_base_.x}}", b"\xff", b"\x00", "\u2028".encode(),
)  # fmt: skip


@pytest.fixture(scope="module")
def text(repository):
    """A whole config, resolved, as YAML."""
    return dump_config(load_config(repository / CONFIG)).encode()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The file that every case writes. Plugins are found before: a base may be theirs."""
    get_table()
    folder = tmp_path_factory.mktemp("configs")
    (folder / "base.yaml").write_text("schedule: {epochs: 3}\ntask: {type: x}\n")
    return folder / "config.yaml"


@pytest.fixture(scope="module")
def registry():
    return Registry(get_table())


def is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def read(path, options=()) -> None:
    """Reading ends in plain data that can be written and read again, or in a ``ConfigError``."""
    try:
        config = load_config(path, options)
    except ConfigError as error:
        assert str(error)  # noqa: PT017  # one of many cases; most end in an error
        return
    assert is_plain(config)


@fuzz
@given(data=st.data())
def test_damaged_yaml(path, text, data):
    path.write_bytes(data.draw(damaged(text, TOKENS)))
    with nothing_runs():
        read(path)


@fuzz
@given(content=st.lists(st.sampled_from(TOKENS) | st.text(max_size=4).map(str.encode), max_size=20).map(b"".join))
@example(content=b"a: !!python/object/apply:os.system [id]")
@example(content=b"[" * 5000)
@example(content=b"a: " + b"9" * 5000)
@example(content=b"_base_: [base.yaml, base.yaml]\nschedule: 5")
@example(content=b"_base_: config.yaml")
@example(content=b"_base_: '\0'")
@example(content=b"_base_: ../../../../../../../etc/passwd")
@example(content=b"_base_: 'nobody::x.yaml'")
def test_any_yaml(path, content):
    path.write_bytes(content)
    with nothing_runs():
        read(path)


PATHS = st.sampled_from(["schedule.epochs", "tuner", "a.b", "task.0"])
VALUES = st.text(alphabet="{}[]()'\",:=ab1.e- \n\\&*!|>#%@`", max_size=20)


@fuzz
@given(option=st.text(max_size=30) | st.builds("{}={}".format, PATHS, VALUES))
@example(option="a=" + "[" * 3000)
@example(option="schedule.epochs={a: !!python/name:os.system }")
def test_options(repository, option):
    with nothing_runs():
        read(repository / CONFIG, [option])


NAMES = st.sampled_from(["seed", "task", "_base_", "schedule", "a", "_hidden", "type"])
CONSTANTS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3) | st.binary(max_size=2)
#: Expressions that finish: names, displays, subscripts, attributes, calls of what is there or not.
EXPRESSIONS = st.recursive(
    CONSTANTS.map(repr) | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | st.lists(inner, max_size=3).map(lambda parts: f"({', '.join(parts)}{',' if parts else ''})")
        | st.lists(st.tuples(inner, inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"
        )
        | st.builds("{}[{}]".format, inner, inner)
        | st.builds("{}.{}".format, NAMES, NAMES)
        | st.builds("({} + {})".format, inner, inner)
        | st.builds("dict({}={})".format, NAMES, inner)
        | st.builds("{}({})".format, NAMES, inner)
        | st.builds("lambda: {}".format, inner)
    ),
    max_leaves=6,
)
STATEMENTS = (
    st.builds("{} = {}".format, NAMES, EXPRESSIONS)
    | st.builds("{}[{}] = {}".format, NAMES, EXPRESSIONS, EXPRESSIONS)
    | st.builds("_base_ = {}".format, st.sampled_from(["'base.yaml'", "['base.yaml']", "[]", "'nowhere.yaml'", "base"]))
    | st.builds("del {}".format, NAMES)
    | st.builds("raise {}".format, EXPRESSIONS)
    | st.sampled_from(["import math", "raise SystemExit", "def f(): return 1", "class C: pass", "x = (", "\tx", "1/0"])
)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # the compiler's about the programs
@fuzz
@given(program=st.lists(STATEMENTS, max_size=5).map("\n".join))
@example(program="del _base_")
@example(program="(_base_ := 5)")
@example(program="_base_ = {[]: 1}")
@example(program="a = []\na.append(a)")
@example(program="a = " + "-" * 50_000 + "1")
@example(program="schedule = " + "[" * 150 + "]" * 150)
def test_python_programs(path, program):
    """A Python config is a program and runs; whatever it raises or leaves behind becomes one message or plain data."""
    config = path.with_suffix(".py")
    config.write_text(program, encoding="utf-8", errors="surrogatepass")
    read(config)


@fuzz
@given(content=st.binary(max_size=40))
def test_bytes_that_are_no_program(path, content):
    try:
        ast.parse(content)
    except (SyntaxError, ValueError):
        config = path.with_suffix(".py")
        config.write_bytes(content)
        with pytest.raises(ConfigError):
            load_config(config)


@fuzz
@given(data=st.data())
def test_checked_configs(text, registry, data):
    """Plain data of any form is an experiment or one message about all that is wrong with it."""
    config = data.draw(altered(yaml.safe_load(text)))
    if not isinstance(config, dict):
        return
    try:
        experiment = check_config(config, registry, "fuzzed")
    except CoplError as error:
        assert str(error)  # noqa: PT017
    else:
        assert json.dumps(experiment.source) == json.dumps(config)


@fuzz
@given(config=st.dictionaries(st.sampled_from(["encoders", "tuner", "task", "schedule", "compute", "seed"]), ANYTHING))
def test_checked_anything(registry, config):
    with pytest.raises(CoplError):
        check_config(config, registry, "fuzzed")
