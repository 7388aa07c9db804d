from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional

import pytest

from copl_core.config.signature import signature_of
from copl_core.config.values import ValueReader


@dataclass(frozen=True)
class Recipe:
    hop: float
    bins: int = 128
    window: Literal["hann", "hamming"] = "hann"

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ValueError(f"bins must be at least 1, got {self.bins}")


Seconds = NewType("Seconds", float)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, int, 1),
        (1, float, 1.0),
        (0.5, float, 0.5),
        (True, bool, True),
        ("x", str, "x"),
        (None, int | None, None),
        (3, Optional[int], 3),  # noqa: UP045  (the old spelling must work too)
        ("shared", int | str, "shared"),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "a"], tuple[int, str], (1, "a")),
        ([1, 2], list[float], [1.0, 2.0]),
        ([[1], []], Sequence[Sequence[int]], ((1,), ())),
        ([1, "a"], list, [1, "a"]),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        ({"a": [1]}, Mapping[str, Any], {"a": [1]}),
        ("cosine", Literal["constant", "cosine"], "cosine"),
        (0, Literal[0, 1], 0),
        ("a/b", Path, Path("a/b")),
        (2, Seconds, 2.0),
        (2, Annotated[float, "unit: s"], 2.0),
        ({"hop": 1}, Recipe, Recipe(hop=1.0)),
        ({"hop": 1}, Recipe | None, Recipe(hop=1.0)),
        ([{"hop": 1}], tuple[Recipe, ...], (Recipe(hop=1.0),)),
        ("anything", Any, "anything"),
    ],
)
def test_values_become_what_the_annotation_says(value: Any, annotation: Any, expected: Any) -> None:
    reader = ValueReader()
    result = reader.read(value, annotation, "x")
    assert reader.problems == []
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation", "problem"),
    [
        ("1e-3", float, "x: expected float, got str '1e-3'"),
        (1.0, int, "x: expected int, got float 1.0"),
        (True, int, "x: expected int, got bool True"),
        (True, float, "x: expected float, got bool True"),
        (1, bool, "x: expected bool, got int 1"),
        (5, str, "x: expected str, got int 5"),
        (None, int, "x: expected int, got null"),
        ("a", int | None, "x: expected int, got str 'a'"),
        ([], int | str, "x: expected int or str, got list []"),
        ("ab", list[str], "x: expected a list, got str 'ab'"),
        (["a"], tuple[int, ...], "x.0: expected int, got str 'a'"),
        ([1], tuple[int, int], "x: expected a list of 2, got 1: list [1]"),
        ({"a": "b"}, dict[str, int], "x.a: expected int, got str 'b'"),
        ([1], dict[str, int], "x: expected keys and values, got list [1]"),
        (True, Literal[0, 1], "x: expected one of 0, 1, got bool True"),
        (
            "cosin",
            Literal["constant", "cosine"],
            "x: expected one of 'constant', 'cosine', got str 'cosin'; did you mean 'cosine'?",
        ),
        ("s", complex, "x: cannot be set in a config: its type is complex"),
        (5, Recipe, "x: expected keys and values (Recipe), got int 5"),
        (10**400, float, "x: expected a number below 1.8e308"),
        ({"hop": 1, "bins": 0}, Recipe, "x: bins must be at least 1, got 0"),
        ({"bins": 3}, Recipe, "x.hop: required by Recipe"),
        ({"hop": "a"}, Recipe | None, "x.hop: expected float, got str 'a'"),
        ({"hop": "a"}, str | Recipe, "x.hop: expected float, got str 'a'"),
    ],
)
def test_a_wrong_value_is_told(value: Any, annotation: Any, problem: str) -> None:
    reader = ValueReader()
    assert reader.read(value, annotation, "x") is None or reader.problems
    assert [str(each) for each in reader.problems] == [problem]


def test_all_problems_of_a_block_are_collected() -> None:
    reader = ValueReader()
    reader.read({"hopp": 1, "bins": "a", "window": "han", "zzz": 1}, Recipe, "audio")
    assert [str(each) for each in reader.problems] == [
        "audio.hopp: Recipe has no argument 'hopp'; did you mean 'hop'?",
        "audio.bins: expected int, got str 'a'",
        "audio.window: expected one of 'hann', 'hamming', got str 'han'; did you mean 'hann'?",
        "audio.zzz: Recipe has no argument 'zzz'; it has: bins, hop, window",
        "audio.hop: required by Recipe",
    ]


def test_keyword_arguments_stand_for_those_of_the_next_constructor() -> None:
    class Base:
        def __init__(self, *, layout: int, width: str = "x") -> None: ...

    class Middle(Base):
        pass

    class Child(Middle):
        def __init__(self, *, width: int, **rest: Any) -> None: ...

    found = signature_of(Child).arguments
    assert set(found) == {"width", "layout"}
    assert (found["width"].annotation, found["width"].required) == (int, True)
    assert found["layout"].required


def test_a_class_without_a_constructor_has_no_arguments() -> None:
    assert signature_of(type("Empty", (), {})).arguments == {}
