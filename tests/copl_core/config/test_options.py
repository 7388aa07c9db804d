from typing import Any

import pytest

from copl_core.api import ConfigError
from copl_core.config.options import apply_options, parse_option_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        ("1e-4", 1e-4),
        ("5", 5),
        ("-5", -5),
        ("true", True),
        ("True", True),
        ("False", False),
        ("None", None),
        ("null", None),
        ("", ""),
        ("set_bank", "set_bank"),
        ("/data/clips (1)/x", "/data/clips (1)/x"),
        ("a: b #c", "a: b #c"),
        ("*x", "*x"),
        ("it's", "it's"),
        ('"5"', "5"),
        ("'x,y'", "x,y"),
        ("'[1, 2]'", "[1, 2]"),
        ("x,y", ["x", "y"]),
        ("1,2", [1, 2]),
        ("[1, 2]", [1, 2]),
        ("(1,)", [1]),
        ("[]", []),
        ("[(1,2),(3,4)]", [[1, 2], [3, 4]]),
        ("['a,b', c]", ["a,b", "c"]),
        ("{type: set_bank, size: 10}", {"type": "set_bank", "size": 10}),
        ("{type: x, sub: {lr: 1e-3, l: [1, 2]}, _delete_: true}", {"type": "x", "sub": {"lr": 0.001, "l": [1, 2]}}),
        ("[{a: 1}, {b: 2}]", [{"a": 1}, {"b": 2}]),
    ],
)
def test_values_are_typed(text: str, value: Any) -> None:
    result = parse_option_value(text, "x")
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "opt: ']' is missing at the end"),
        ("1)", "opt: ')' closes nothing"),
        ("'x", 'opt: "\'" is missing at the end'),
        ("012", "opt: ambiguous number 012"),
        ("{a: 1, a: 2}", "opt: duplicate key 'a'"),
        ("{a: !!python/name:os.system }", "opt: tag '!!python/name:os.system' is not allowed"),
    ],
)
def test_values_that_can_not_be_read(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_option_value(text, "opt")
    assert message in str(caught.value)


CONFIG: dict[str, Any] = {
    "tuner": {"type": "copl", "prompts": {"frame": {"type": "frame_prompts"}, "bank": {"type": "prompt_bank", "q": 3}}},
    "list": [{"type": "A"}, 5],
    "schedule": {"epochs": 3},
    "nothing": None,
}


def test_options_are_applied_in_order_to_a_copy() -> None:
    changed = apply_options(
        CONFIG,
        [
            "tuner.prompts.frame=null",
            "schedule.epochs=5",
            "schedule.weight_decay=0.1",
            "list.0.type=Z",
            "list.1=7",
            "tuner.prompts.bank={type: set_bank}",
            "tuner.prompts.bank.size=10",
            "seed=1",
        ],
    )
    assert changed == {
        "tuner": {"type": "copl", "prompts": {"frame": None, "bank": {"type": "set_bank", "size": 10}}},
        "list": [{"type": "Z"}, 7],
        "schedule": {"epochs": 5, "weight_decay": 0.1},
        "nothing": None,
        "seed": 1,
    }
    assert CONFIG["schedule"] == {"epochs": 3}
    assert CONFIG["list"][0] == {"type": "A"}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert apply_options({}, ["a=b=c"]) == {"a": "b=c"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("epochs", "--cfg-options 'epochs': expected path=value"),
        ("=5", "--cfg-options '=5': expected path=value"),
        ("a..b=5", "expected path=value"),
        ("tunr.type=x", "--cfg-options tunr.type: the config has no key 'tunr'; did you mean 'tuner'?"),
        ("tuner.prompt.x=1", "'tuner' has no key 'prompt'; did you mean 'prompts'?"),
        ("loss.iou.w=1", "the config has no key 'loss'; it has: list, nothing, schedule, tuner"),
        ("nothing.x=1", "nothing is null, not a block of keys; set it whole: 'nothing={...}'"),
        ("schedule.epochs.x=1", "schedule.epochs is int 3, not a block of keys"),
        ("schedule.epochs.x.y=1", "schedule.epochs is int 3, not a block of keys"),
        ("list.5.type=Z", "list is a list of 2: expected an index, got '5'"),
        ("list.x=Z", "list is a list of 2: expected an index, got 'x'"),
        ("seed=[1", "--cfg-options 'seed=[1': ']' is missing at the end"),
    ],
)
def test_mistakes_are_told(option: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_options(CONFIG, [option])
    assert message in str(caught.value)


def test_an_optional_block_need_not_be_there():
    assert apply_options({"seed": 1}, ["compute.precision=bf16"]) == {"seed": 1, "compute": {"precision": "bf16"}}
