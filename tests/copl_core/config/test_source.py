"""Reading a class from source answers what importing it would, or says that it can't."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from copl_core import contracts
from copl_core.config.json_schema import component_schema
from copl_core.config.signature import NOT_PLAIN, Signature, signature_of
from copl_core.config.source import SourceReader, UnreadableError
from copl_core.config.values import ValueReader
from copl_core.plugins import Component, get_table
from copl_core.registry import Registry

FIRST_PARTY = [component for component in get_table().components() if component.distribution == "copl"]
_COUNTER = itertools.count()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry(get_table())


@pytest.mark.parametrize("component", FIRST_PARTY, ids=lambda component: f"{component.kind}-{component.name}")
def test_source_and_class_of_every_first_party_component_agree(component: Component, registry: Registry) -> None:
    read = SourceReader({each.target.partition(".")[0] for each in FIRST_PARTY}).read(component.target)
    imported = signature_of(registry.resolve_component(component))
    assert (read.name, read.kind, read.context) == (imported.name, imported.kind, imported.context)
    assert list(read.arguments) == list(imported.arguments)
    # The schema spells types, nested records, defaults and descriptions out.
    assert component_schema(read) == component_schema(imported)
    for name, argument in imported.settable.items():
        assert (read.settable[name].required, read.settable[name].default) == (argument.required, argument.default)


def test_reading_imports_nothing() -> None:
    code = (
        "import sys\n"
        "from copl_core.plugins import get_table\n"
        "from copl_core.registry import Registry\n"
        "registry = Registry(get_table())\n"
        "for component in registry.table.components():\n"
        "    if component.distribution == 'copl':\n"
        "        registry.signature(component)\n"
        "print('torch' in sys.modules, 'copl_core.contracts' in sys.modules, 'copl_swin.backbone' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False", "False"]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Signature]:
    """Writes a module of a fake plugin, which must not run, and reads its class ``Part``."""
    monkeypatch.syspath_prepend(tmp_path)

    def read_part(text: str, **others: str) -> Signature:
        package = f"fake_source_{next(_COUNTER)}"
        for name, content in {"__init__": "", "part": text, **others}.items():
            path = tmp_path / package / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text("raise RuntimeError('this module must not run')\n" + content)
        return SourceReader({package}).read(f"{package}.part:Part")

    return read_part


def test_what_a_class_inherits_from_another_module(read: Callable[..., Signature]) -> None:
    signature = read(
        "from .base import Base, LIMIT\n"
        "from . import base as b\n"
        "class Part(Base, b.Mixin):\n"
        "    'A part.\\n\\n    Args:\\n        size: How\\n            large.\\n    '\n"
        "    def __init__(self, *, size: b.Size = LIMIT, ratio: 'float | None' = None, **rest): ...\n",
        base="import torch\n"
        "from typing import Literal\n"
        "LIMIT = 3\n"
        "Size = Literal[1, 2, 3]\n"
        "class Mixin:\n"
        "    pass\n"
        "class Base(torch.nn.Module):\n"
        "    kind: str = 'bank'\n"
        "    context = ('width',)\n"
        "    def __init__(self, width: torch.Tensor, length: int): ...\n",
    )
    assert (signature.kind, signature.context, signature.doc) == ("bank", ("width",), "A part.")
    assert list(signature.settable) == ["length", "size", "ratio"]
    assert signature.arguments["length"].required
    assert (signature.arguments["size"].default, signature.arguments["size"].doc) == (3, "How large.")
    assert signature.arguments["ratio"].annotation == float | None
    assert component_schema(signature)["properties"]["size"]["enum"] == [1, 2, 3]


def test_the_fields_of_a_dataclass(read: Callable[..., Signature]) -> None:
    signature = read(
        "from dataclasses import dataclass, field\n"
        "from typing import ClassVar\n"
        "@dataclass\n"
        "class Base:\n"
        "    kind: ClassVar[str] = 'loss'\n"
        "    weight: float\n"
        "@dataclass(frozen=True)\n"
        "class Part(Base):\n"
        "    names: tuple[str, ...] = ('a',)\n"
        "    made: list[int] = field(default_factory=list)\n"
        "    given: int = field(default=2)\n"
        "    needed: int = field(kw_only=True)\n"
        "    hidden: int = field(init=False)\n"
    )
    required = {name: argument.required for name, argument in signature.arguments.items()}
    assert required == {"weight": True, "names": False, "made": False, "given": False, "needed": True}
    defaults = [signature.arguments[name].default for name in ("names", "made", "given")]
    assert defaults == [["a"], NOT_PLAIN, 2]


@pytest.mark.parametrize("contract", ["Bank", "Dataset", "Head", "Loss", "Mapper", "Metric", "Prompt", "Tuner", "Task"])
def test_a_component_without_a_constructor_takes_what_its_contract_takes(
    read: Callable[..., Signature], contract: str
) -> None:
    signature = read(f"from copl_core.contracts import {contract}\nclass Part({contract}): ...\n")
    imported = signature_of(getattr(contracts, contract))
    assert (signature.kind, list(signature.arguments)) == (imported.kind, list(imported.arguments))
    assert signature.abstract == imported.abstract


def test_a_dataclass_that_holds_itself(read: Callable[..., Signature]) -> None:
    signature = read(
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Node:\n"
        "    child: 'Node | None' = None\n"
        "    size: int = 1\n"
        "class Part:\n"
        "    def __init__(self, *, root: Node): ...\n"
    )
    reader = ValueReader()
    reader.read_arguments(signature, {"root": {"child": {"size": "x"}}}, "part")
    assert [str(each) for each in reader.problems] == ["part.root.child.size: expected int, got str 'x'"]


def test_what_is_left_undefined(read: Callable[..., Signature]) -> None:
    text = (
        "from abc import ABC, abstractmethod\n"
        "class Base(ABC):\n"
        "    @abstractmethod\n"
        "    def one(self): ...\n"
        "    @property\n"
        "    @abstractmethod\n"
        "    def two(self): ...\n"
    )
    assert read(text + "class Part(Base):\n    def one(self): ...\n").abstract == ("two",)
    assert read(text + "class Part(Base):\n    one = two = None\n").abstract == ()


@pytest.mark.parametrize(
    "text",
    [
        "Part = make_part()\n",
        "def Part(): ...\n",
        "if True:\n    class Part: ...\n",
        "@register\nclass Part: ...\n",
        "import torch\nclass Part(torch.nn.Module): ...\n",
        "class Part:\n    def __init__(self, size: make_type()): ...\n",
        "from elsewhere import Size\nclass Part:\n    def __init__(self, size: Size): ...\n",
        "try:\n    from a import Size\nexcept ImportError:\n    Size = int\n"
        "class Part:\n    def __init__(self, size: Size): ...\n",
        "class Part:\n    @decorated\n    def __init__(self, size: int): ...\n",
        "class Part(:\n",
        "from .other import Part\nclass Part(Part): ...\n",
        "class Part:\n    if True:\n        def __init__(self, size: int): ...\n",
        "class Part:\n    try:\n        kind = 'bank'\n    except Exception:\n        pass\n",
        "class Part:\n    context = ('width',)\n    context += ('length',)\n",
        "class Part:\n    kind, context = 'bank', ('width',)\n",
        "WIDTH = ('width',)\nclass Part:\n    context = WIDTH\n    def __init__(self, width: int): ...\n",
        "class Part:\n    __init__ = made_elsewhere\n",
        "class Base:\n    if True:\n        def __init__(self, size: int): ...\nclass Part(Base): ...\n",
        "@register\nclass Base:\n    def __init__(self, size: int): ...\nclass Part(Base): ...\n",
        "from abc import abstractmethod\nclass Base:\n    @abstractmethod\n    def one(self): ...\n"
        "class Part(Base):\n    def __init__(self): ...\n    if True:\n        def one(self): ...\n",
        "Size = Size\nclass Part:\n    def __init__(self, size: Size): ...\n",
    ],
)
def test_what_only_running_would_tell(read: Callable[..., Signature], text: str) -> None:
    with pytest.raises(UnreadableError):
        read(text)


def test_of_two_constructors_the_last_counts(read: Callable[..., Signature]) -> None:
    signature = read("class Part:\n    def __init__(self, old: int): ...\n    def __init__(self, new: int): ...\n")
    assert list(signature.arguments) == ["new"]


def test_a_class_that_can_not_be_read_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from copl_core.plugins import ComponentTable

    module = f"fake_made_{next(_COUNTER)}"
    (tmp_path / f"{module}.py").write_text(
        "def make():\n"
        "    class Made:\n"
        "        kind = 'bank'\n"
        "        def __init__(self, *, size: int = 3): ...\n"
        "    return Made\n"
        "Part = make()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    component = Component("bank", "made", f"{module}:Part", "", "x", "x", "1")
    registry = Registry(ComponentTable([component]))
    assert [str(each) for each in registry.problems("bank", {"type": "made", "sise": 1}, "bank")] == [
        "bank.sise: Made has no argument 'sise'; did you mean 'size'?"
    ]


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(UnreadableError):
        SourceReader({"nowhere_at_all"}).read("nowhere_at_all.part:Part")
    with pytest.raises(UnreadableError, match="is no module of a plugin"):
        SourceReader(set()).read("torch.nn:Linear")
