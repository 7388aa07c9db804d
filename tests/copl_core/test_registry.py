"""Components are tiny subclasses of the contracts, in a module of a fake plugin."""

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from copl_core.api import ConfigError, PluginError
from copl_core.config import load_config
from copl_core.contracts import FeatureLayout
from copl_core.plugins import Component, ComponentTable, PluginStatus, get_table
from copl_core.registry import ComponentFactory, Registry

_COUNTER = itertools.count()

PARTS = '''
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from copl_core.api import ConfigError
from copl_core.contracts import Bank, Factory, Head, Loss, Mapper, Prompt, Tuner

if TYPE_CHECKING:
    from somewhere import Nothing


class PromptBank(Bank):
    def __init__(self, *, width: int, length: int, size: int = 10, std: float = 0.02):
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.settings = (width, length, size, std)

    def forward(self, queries):
        return queries


class Linear(Mapper):
    """Takes no context but what it needs."""

    def __init__(self, *, source: int, rank: int = 4):
        super().__init__()
        self.settings = (source, rank)

    def forward(self, prompts):
        return prompts


class Plain(Prompt):
    def __init__(self, *, length: int, **rest: Any):
        super().__init__(**rest)
        self.length = length

    def pairs(self):
        return ()

    def forward(self, index, visual, audio):
        return visual, audio


class Interaction(Plain):
    def __init__(self, *, layout, mapper: Factory[Mapper], bank: Factory[Bank] | None = None, length: int = 20):
        super().__init__(layout=layout, length=length)
        self.mapper = mapper(source=8, target=4)
        self.bank = bank and bank(width=8, length=length)


@dataclass(frozen=True)
class Course:
    steps: tuple[int, ...] = (1,)
    kind: Literal["up", "down"] = "up"

    def __post_init__(self):
        if not self.steps:
            raise ConfigError("steps: at least one is needed")


class Copl(Tuner):
    def __init__(
        self,
        *,
        layout,
        prompts: Mapping[str, Factory[Prompt]],
        losses: Mapping[str, Factory[Loss]] | None = None,
        extra: list[Factory[Bank]] = [],
        course: Course = Course(),
        odd: Nothing = None,
        hidden: Factory[Nothing] | None = None,
    ):
        super().__init__(layout=layout)
        self.makers = prompts
        self.losses = losses
        self.extra = extra
        self.course = course
        self.odd = odd


class Incomplete(Head):
    pass


class Kindless:
    pass


def function():
    pass
'''

TARGETS = [
    ("bank", "prompt_bank", "PromptBank"),
    ("mapper", "linear", "Linear"),
    ("prompt", "plain", "Plain"),
    ("prompt", "interaction", "Interaction"),
    ("tuner", "copl", "Copl"),
    ("head", "incomplete", "Incomplete"),
    ("head", "kindless", "Kindless"),
    ("head", "bank_as_head", "PromptBank"),
    ("head", "function", "function"),
    ("head", "misspelt", "Incomplet"),
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("site")
    number = next(_COUNTER)
    module = f"fake_parts_{number}"
    (folder / f"{module}.py").write_text(PARTS)
    (folder / f"fake_broken_{number}.py").write_text("import not_there\n")
    (folder / f"fake_exits_{number}.py").write_text("raise SystemExit('bye')\n")
    targets = [
        *((kind, name, f"{module}:{cls}") for kind, name, cls in TARGETS),
        ("backbone", "broken", f"fake_broken_{number}:Model"),
        ("backbone", "exits", f"fake_exits_{number}:Model"),
    ]
    components = [Component(kind, name, target, "", "ext", "copl-ext", "0.3") for kind, name, target in targets]
    table = ComponentTable(components, (), [PluginStatus("ext", "copl-ext", "0.3", "loaded")])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield Registry(table)


def problems(registry: Registry, config: Any, kind: str = "tuner") -> list[str]:
    return [str(problem) for problem in registry.problems(kind, config, kind)]


FULL: dict[str, Any] = {
    "type": "copl",
    "prompts": {
        "frame": {"type": "plain", "length": 5},
        "interaction": {
            "type": "ext.interaction",
            "bank": {"type": "prompt_bank", "size": 3},
            "mapper": {"type": "linear"},
        },
    },
}


def test_resolve_imports_the_class_once(registry: Registry) -> None:
    cls = registry.resolve("bank", "prompt_bank")
    assert cls.__name__ == "PromptBank"
    assert registry.resolve("bank", "ext.prompt_bank") is cls


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "backbone",
            "broken",
            r"backbone 'broken' \(plugin ext 0\.3, target fake_broken_\d+:Model\) could not be imported: "
            "ModuleNotFoundError: No module named 'not_there'",
        ),
        ("backbone", "exits", "could not be imported: SystemExit: bye"),
        ("head", "misspelt", r"fake_parts_\d+ has no 'Incomplet'; did you mean 'Incomplete'\?"),
        ("head", "kindless", "is not a head: its kind is None"),
        ("head", "bank_as_head", "is not a head: its kind is 'bank'"),
        ("head", "function", "is not a class"),
        ("head", "incomplete", "is incomplete: it does not define forward, losses"),
        ("head", "os.system", "unknown plugin 'os'"),
        ("head", "linear", "'linear' exists as a mapper"),
    ],
)
def test_what_can_not_be_resolved(registry: Registry, kind: str, name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        registry.resolve(kind, name)
    (problem,) = registry.problems(kind, {"type": name}, "x")
    assert problem.path == "x.type"


def test_what_a_components_module_prints_is_no_part_of_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fake_banner.py").write_text(
        "from copl_core.contracts import Metric\nprint('welcome')\nclass Chatty(Metric):\n"
        "    def measure(self, *_): ...\n    def summarize(self, *_): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    chatty = Component("metric", "chatty", "fake_banner:Chatty", "", "ext", "copl-ext", "0.3")

    assert Registry(ComponentTable([chatty])).resolve("metric", "chatty").__name__ == "Chatty"

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "welcome\n")


def test_an_import_error_keeps_its_cause(registry: Registry) -> None:
    with pytest.raises(PluginError) as caught:
        registry.resolve("backbone", "broken")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_nested_parts_arrive_as_factories(registry: Registry) -> None:
    tuner = registry.build("tuner", FULL, path="tuner", layout="L")

    assert tuner.layout == "L"
    assert list(tuner.makers) == ["frame", "interaction"]
    prompt = tuner.makers["interaction"](layout="L")
    assert prompt.bank.settings == (8, 20, 3, 0.02)
    # The mapper doesn't take ``target``: it is offered, and left out.
    assert prompt.mapper.settings == (8, 4)
    # ``Plain`` hands ``layout`` on to the contract's constructor.
    assert tuner.makers["frame"](layout="L").layout == "L"


def test_a_null_removes_a_part(registry: Registry) -> None:
    without = {**FULL, "prompts": {**FULL["prompts"], "frame": None}}
    assert list(registry.build("tuner", without, path="tuner", layout=0).makers) == ["interaction"]

    no_bank = {"type": "interaction", "mapper": {"type": "linear"}, "bank": None}
    assert registry.build("prompt", no_bank, path="p", layout=0).bank is None

    assert problems(registry, {"type": "interaction", "mapper": None}, "prompt") == [
        "prompt.mapper: expected a mapper: keys and values with 'type', got null"
    ]


def test_other_arguments_are_converted(registry: Registry) -> None:
    config = {
        "type": "copl",
        "prompts": {},
        "losses": {"gone": None},
        "course": {"steps": [1, 2], "kind": "down"},
        "extra": [{"type": "prompt_bank"}],
        "odd": "left as it is",
    }
    tuner = registry.build("tuner", config, path="tuner", layout=0)
    assert (tuner.course.steps, tuner.course.kind) == ((1, 2), "down")
    assert tuner.losses == {}
    assert [bank(width=1, length=2).settings for bank in tuner.extra] == [(1, 2, 10, 0.02)]
    assert tuner.odd == "left as it is"


def test_factories_remember_where_they_come_from(registry: Registry) -> None:
    factory = registry.factory("tuner", FULL, path="tuner")
    assert isinstance(factory, ComponentFactory)
    assert factory.config == FULL
    source = factory.component
    assert (source.kind, source.name, source.plugin, source.distribution, source.version) == (
        "tuner",
        "copl",
        "ext",
        "copl-ext",
        "0.3",
    )
    assert {path: part.qualified for path, part in factory.components().items()} == {
        "tuner": "ext.copl",
        "tuner.prompts.frame": "ext.plain",
        "tuner.prompts.interaction": "ext.interaction",
        "tuner.prompts.interaction.bank": "ext.prompt_bank",
        "tuner.prompts.interaction.mapper": "ext.linear",
    }


@pytest.mark.parametrize(
    ("block", "line"),
    [
        ("bank:\n        type: prompt_bank\n        size: 0", 8),
        ("bank: {type: prompt_bank, size: -3}", 6),
    ],
)
def test_a_refused_value_is_told_with_the_place_where_it_was_written(
    registry: Registry, tmp_path: Path, block: str, line: int
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "tuner:\n  type: copl\n  prompts:\n    i:\n      type: interaction\n"
        f"      {block}\n      mapper: {{type: linear}}\n"
    )
    config = load_config(path)
    (factory,) = registry.factories({"tuner": ("tuner", config["tuner"])}, config.origins).values()

    with pytest.raises(ConfigError) as caught:
        factory(layout=0).makers["i"](layout=0)

    assert str(caught.value).startswith("tuner.prompts.i.bank: prompt_bank: size must be at least 1, got ")
    assert str(caught.value).endswith(f" ({path}:{line})")


def test_the_place_of_what_a_component_says_itself_is_told_once(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("ave:\n  type: ave_classifier\n  classes: 1\n")
    config = load_config(path)
    (factory,) = Registry(get_table()).factories({"ave": ("head", config["ave"])}, config.origins).values()
    layout = FeatureLayout(width=4, pyramid=((4, 2, 2),))

    with pytest.raises(ConfigError) as caught:
        factory(visual=layout, audio=layout, frames=2)

    assert str(caught.value) == f"head.classes is 1: must be at least 2, one event and background ({path}:3)"


def test_components_of_one_factory_share_no_values_with_each_other_or_the_config(registry: Registry) -> None:
    config = {"type": "copl", "prompts": {}, "odd": {"list": [1]}}
    factory = registry.factory("tuner", config, path="tuner")
    first, second = factory(layout=0), factory(layout=0)
    first.odd["list"].append(2)
    config["odd"]["list"].append(3)
    assert second.odd == factory(layout=0).odd == {"list": [1]}
    assert factory.config["odd"] == {"list": [1]}


def test_a_good_block_has_no_problems(registry: Registry) -> None:
    assert problems(registry, FULL) == []


def test_all_problems_are_collected_with_their_paths(registry: Registry) -> None:
    config = {
        "type": "copl",
        "prompts": {
            "frame": {"type": "plan", "length": 5},
            "global": {"type": "plain"},
            "interaction": {
                "type": "interaction",
                "length": "20",
                "bank": {"type": "prompt_bank", "sise": 3, "std": "1e-3", "width": 4},
                "mapper": {"rank": 4},
            },
            "sum": {"type": "linear"},
            "os": {"type": "os.system", "command": "touch evil"},
        },
        "course": {"steps": 3},
        "layout": 1,
        "window_size": 7,
    }
    assert problems(registry, config) == [
        "tuner.prompts.frame.type: no prompt named 'plan'. Did you mean 'plain' (from ext)?",
        "tuner.prompts.global.length: required by Plain",
        "tuner.prompts.interaction.length: expected int, got str '20'",
        "tuner.prompts.interaction.bank.sise: PromptBank has no argument 'sise'; did you mean 'size'?",
        "tuner.prompts.interaction.bank.std: expected float, got str '1e-3'",
        "tuner.prompts.interaction.bank.width: set by the framework: remove it",
        "tuner.prompts.interaction.mapper.type: required: the name of a mapper; known: linear",
        "tuner.prompts.sum.type: no prompt named 'linear'. 'linear' exists as a mapper.",
        "tuner.prompts.os.type: no prompt 'os.system': unknown plugin 'os'; installed: ext.",
        "tuner.course.steps: expected a list, got int 3",
        "tuner.layout: set by the framework: remove it",
        "tuner.window_size: Copl has no argument 'window_size'; it has: course, extra, hidden, losses, odd, prompts; "
        "if it comes from a base config, replace the whole block with `_delete_: true`",
    ]
    with pytest.raises(ConfigError) as caught:
        registry.factory("tuner", config, path="tuner")
    assert len(str(caught.value).splitlines()) == 12


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("copl", "tuner: expected a tuner: keys and values with 'type', got str 'copl'"),
        ({"type": 5}, "tuner.type: expected the name of a tuner, got int 5"),
        ({"type": "copl", "prompts": 5}, "tuner.prompts: expected keys and values, got int 5"),
        ({"type": "copl", "prompts": None}, "tuner.prompts: expected keys and values, got null"),
        (
            {"type": "copl", "prompts": {}, "hidden": {"type": "x"}},
            "tuner.hidden: annotation 'Factory[Nothing] | None' can't be resolved; import its names at run time",
        ),
    ],
)
def test_a_block_of_the_wrong_form(registry: Registry, config: Any, problem: str) -> None:
    assert problems(registry, config) == [problem]


def test_a_value_that_the_constructor_refuses_is_told_with_its_path(registry: Registry) -> None:
    bank = {"type": "prompt_bank", "size": 0}
    with pytest.raises(ConfigError, match=r"^tuner\.bank: prompt_bank: size must be at least 1, got 0$"):
        registry.build("bank", bank, path="tuner.bank", width=1, length=1)


def test_an_ablation_by_option_builds_without_the_part(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("tuner: {type: copl, prompts: {a: {type: plain, length: 1}, b: {type: plain, length: 2}}}\n")
    config = load_config(path, ["tuner.prompts.a=null", "tuner.prompts.b.length=7"])
    tuner = registry.build("tuner", config["tuner"], path="tuner", layout=0)
    assert [make(layout=0).length for make in tuner.makers.values()] == [7]


def test_factories_tell_what_is_wrong_with_all_blocks(registry: Registry) -> None:
    blocks = {
        "tuner": ("tuner", {"type": "copl", "prompts": {}, "course": {"steps": []}}),
        "one": ("bank", {"type": "prompt_bank", "sise": 1}),
        "two": ("mapper", {"type": "linear"}),
        "three": ("mapper", {"type": "liner"}),
    }
    with pytest.raises(ConfigError) as caught:
        registry.factories(blocks)
    assert str(caught.value).splitlines() == [
        "tuner.course: steps: at least one is needed",
        "one.sise: PromptBank has no argument 'sise'; did you mean 'size'?",
        "three.type: no mapper named 'liner'. Did you mean 'linear' (from ext)?",
    ]


def test_checking_imports_no_component(registry: Registry) -> None:
    fresh = Registry(registry.table)
    modules = {component.target.partition(":")[0] for component in registry.table.components("bank")}
    kept = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    try:
        assert fresh.problems("prompt", FULL["prompts"]["interaction"], "prompt") == []
        assert not modules & set(sys.modules)
    finally:
        sys.modules.update(kept)
