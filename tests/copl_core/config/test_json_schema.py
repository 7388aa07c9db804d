"""The schema against ``jsonschema``, which shares no code with our checks: right files pass, mistakes don't."""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copl_core.api import ConfigError
from copl_core.config import check_config, load_config
from copl_core.config.json_schema import component_schema, config_schema
from copl_core.config.schema import TOP
from copl_core.config.signature import signature_of
from copl_core.config.strict_yaml import parse_mapping, read_yaml
from copl_core.plugins import Component, ComponentTable, get_table
from copl_core.registry import Registry

FOLDER = Path(__file__).parents[3] / "configs"
FILES = [*sorted((FOLDER / "_base_").rglob("*.yaml")), *sorted((FOLDER / "demo").glob("*.yaml"))]
REGISTRY = Registry(get_table())


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = config_schema(REGISTRY)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_shipped_file_passes(path: Path, validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(read_yaml(path))] == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "_base_: copl_avs::swin.yaml",
        "tuner: {type: copl_prompts.copl, prompts: {frame: null, x: {_delete_: true, type: frame_prompts}}}",
        "tuner: {prompts: {_delete_: true}, losses: null}",
        "tuner: {prompts: {interaction: {bank: {size: 3}, mapper: {width: 5}}}}",
        "encoders: {audio: shared}\nseed: 3\nschedule: {prompt_lr: 1, eval_batch_size: null}",
        "task: {dataset: {audio: {_delete_: true, mean: 1, std: 2.5}}}",
    ],
)
def test_a_part_of_a_config_passes(text: str, validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(parse_mapping(text, "x"))] == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tunr: {}", ""),
        ("default_hooks: {chekpoint: {}}", ""),
        ("_base_: evil.py", "_base_"),
        ("_base_: [fine.yaml, evil.py]", "_base_.1"),
        ("seed: -1", "seed"),
        ("seed: one", "seed"),
        ("protocol: standart", "protocol"),
        ("schedule: {epochz: 3}", "schedule"),
        ("schedule: {epochs: 0}", "schedule.epochs"),
        ("schedule: {prompt_lr: 0}", "schedule.prompt_lr"),
        ("schedule: {ema: 1.0}", "schedule.ema"),
        ("loggers: {tensorbord: {}}", "loggers"),
        ("loggers: {wandb: {mode: off}}", "loggers.wandb.mode"),
        ("schedule: {prompt_lr: '1e-3'}", "schedule.prompt_lr"),
        ("schedule: {lr_schedule: cosin}", "schedule.lr_schedule"),
        ("compute: {compile: 1}", "compute.compile"),
        ("encoders: {visual: shared}", "encoders.visual"),
        ("encoders: {visual: {type: swim}}", "encoders.visual.type"),
        ("encoders: {visual: {type: swin, modle: x}}", "encoders.visual"),
        ("tuner: {type: os.system, command: x}", "tuner.type"),
        ("tuner: {type: copl, layout: 1}", "tuner"),
        ("tuner: {prompts: {frame: {type: prompt_bank}}}", "tuner.prompts.frame.type"),
        ("tuner: {prompts: {interaction: {bank: {type: prompt_bank, sise: 3}}}}", "tuner.prompts.interaction.bank"),
        ("tuner: {prompts: {interaction: {bank: {sise: 3}}}}", "tuner.prompts.interaction.bank.sise"),
        ("tuner: {prompts: {global: {type: global_prompts, length: x}}}", "tuner.prompts.global.length"),
        ("task: {dataset: {type: ave, audio: {meen: 3}}}", "task.dataset.audio"),
        ("task: {head: {type: avs_decoder, widths: [1, x]}}", "task.head.widths.1"),
    ],
)
def test_a_mistake_fails_where_it_is(text: str, place: str, validator: Any) -> None:
    errors = list(validator.iter_errors(parse_mapping(text, "x")))
    assert errors
    # The branch of a union that the value was meant for is told as one of the error's own.
    leaves = [leaf for error in errors for leaf in [error, *_inner(error)]]
    assert any(_place(leaf) == place for leaf in leaves), [(_place(leaf), leaf.message) for leaf in leaves]


def _inner(error: Any) -> list[Any]:
    return [leaf for each in error.context for leaf in [each, *_inner(each)]]


def _place(error: Any) -> str:
    # For a key that must not be there, jsonschema gives the key as the instance.
    key = [error.instance] if "propertyNames" in error.absolute_schema_path else []
    return ".".join(map(str, [*error.absolute_path, *key]))


VALUES = [None, True, 0, -1, 7, 2.5, "x", "shared", "linear", [], [1, "a"], {}, {"type": "set_bank"}, {"size": 3}]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The demo's config with one value replaced, removed or added."""
    config = dict(load_config(FOLDER / "demo" / "avs_swin_nano_shared.yaml"))
    block = config = copy.deepcopy(config)
    while True:
        inner = [value for value in block.values() if isinstance(value, dict)]
        if not inner or not draw(st.integers(0, 2)):
            break
        block = draw(st.sampled_from(inner))
    key = draw(st.sampled_from([*block, "type", "size", "weight", "unheard_of"]))
    if key in block and draw(st.booleans()):
        del block[key]
    else:
        block[key] = draw(st.sampled_from(VALUES))
    return config


@settings(max_examples=100, deadline=None)
@given(config=mutated())
def test_what_the_schema_refuses_is_refused_by_the_check(validator: Any, config: dict[str, Any]) -> None:
    try:
        check_config(config, REGISTRY, "x")
    except ConfigError:
        return
    assert [error.message for error in validator.iter_errors(config)] == []


def test_every_top_level_key_is_there(validator: Any) -> None:
    assert set(validator.schema["properties"]) == {"_base_", *TOP}


def test_what_an_editor_shows_of_an_argument() -> None:
    schema = config_schema(REGISTRY)
    bank = schema["$defs"]["bank.copl_prompts.prompt_bank"]["properties"]["size"]
    assert (bank["type"], bank["default"]) == ("integer", 10)
    assert bank["description"]
    assert schema["properties"]["schedule"]["properties"]["epochs"]["description"] == "Passes over the training split."
    assert {"prompt_bank", "copl_prompts.set_bank"} <= set(schema["$defs"]["bank"]["properties"]["type"]["enum"])


class Odd:
    """Arguments of every form."""

    def __init__(self, *, pair: tuple[int, str], path: Path | None, any_list: list, object_: object, code: complex):
        """Take them."""


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ({"pair": [1, "a"], "path": "x", "any_list": [1, "a"], "object_": 5}, True),
        ({"path": None}, True),
        ({"pair": [1, 2]}, False),
        ({"pair": [1]}, False),
        ({"path": 1}, False),
        ({"any_list": {}}, False),
        ({"code": 1}, False),
    ],
)
def test_forms_of_arguments(value: Any, valid: bool) -> None:
    validator = jsonschema.Draft202012Validator(component_schema(signature_of(Odd)))
    assert validator.is_valid(value) is valid


def test_a_component_that_can_not_be_read_is_left_open() -> None:
    broken = Component("bank", "broken", "not_there_at_all.x:Y", "", "ext", "ext", "1")
    schema = config_schema(Registry(ComponentTable([*get_table().components(), broken])))
    validator = jsonschema.Draft202012Validator(schema)
    interaction = "tuner: {{prompts: {{interaction: {{bank: {} }} }} }}"
    for bank in ("{type: broken, anything: 1}", "{type: ext.broken}", "{anything: 1}"):
        assert validator.is_valid(parse_mapping(interaction.format(bank), "x")), bank


def test_a_name_of_two_plugins_must_be_written_in_full() -> None:
    table = get_table()
    (ours,) = (each for each in table.components("bank") if each.name == "prompt_bank")
    twins = [Component("bank", "twin", ours.target, "", plugin, plugin, "1") for plugin in ("one", "two")]
    schema = config_schema(Registry(ComponentTable([*table.components(), *twins])))
    names = schema["$defs"]["bank"]["properties"]["type"]["enum"]
    assert {"one.twin", "two.twin"} <= set(names)
    assert "twin" not in names
