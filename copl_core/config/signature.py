"""What a class can be constructed with, whether it was imported or only its source was read."""

import inspect
import re
import textwrap
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

_SECTION = re.compile(r"^(?:Args|Attributes):\n((?:[ \t]+.*\n?|\n)*)", re.MULTILINE)
_RETURNS = re.compile(r"^Returns:\n((?:[ \t]+.*\n?|\n)*)", re.MULTILINE)
#: A shape in a docstring: ``(BT, P, d)``, ``(answers,)``, ``(1, 2 L_I, d_v)``, ``()``.
SHAPE = re.compile(r"\([\w.*/+ -]+,(?: *[\w.*/+ -]+,?)*\)|(?<!\w)\(\)")
_ENTRY = re.compile(r"^(\w+)(?: \([^)]*\))?: (.*(?:\n[ \t]+.*)*)", re.MULTILINE)
#: Default of an argument whose default isn't plain data.
NOT_PLAIN = "<not plain data>"


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor.

    Attributes:
        annotation: Resolved; ``Unresolved`` where that can't be done.
        required: Whether it has no default.
        default: The default, with lists for tuples; ``NOT_PLAIN`` for objects, None where there is none.
        doc: What the docstring says of it, on one line.
    """

    annotation: Any
    required: bool
    default: Any = None
    doc: str = ""


@dataclass(frozen=True)
class Signature:
    """What a class can be constructed with.

    Attributes:
        name: The class.
        arguments: By name, in order.
        kind: Kind of component; None for other classes.
        context: Names of arguments that the framework sets.
        doc: The first line of the docstring.
        abstract: Names of what the class leaves undefined; such a class can't be constructed.
    """

    name: str
    arguments: Mapping[str, Argument]
    kind: str | None = None
    context: tuple[str, ...] = ()
    doc: str = ""
    abstract: tuple[str, ...] = ()

    @property
    def settable(self) -> dict[str, Argument]:
        """The arguments that a config may set."""
        return {name: argument for name, argument in self.arguments.items() if name not in self.context}


@dataclass(frozen=True)
class Docs:
    """What a class says of itself.

    Attributes:
        text: Its docstring.
        methods: By name of each public method, the module and docstring of every class that defines it, the nearest
            first.
    """

    text: str
    methods: Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Unresolved:
    """An annotation given as text whose names can't be resolved, e.g. imported under ``TYPE_CHECKING`` only."""

    text: str


class SourceClass:
    """Base of the classes that stand in annotations for a class of which only the source was read.

    Attributes:
        signature: What the class itself can be constructed with.
        is_record: Whether it is a dataclass.
        kind: Kind of component, None for other classes.
    """

    signature: ClassVar[Signature]
    is_record: ClassVar[bool]
    kind: ClassVar[str | None]


def signature_of(cls: type) -> Signature:
    """Return the signature of a class.

    A constructor's ``**kwargs`` stands for the arguments of the next constructor up the class tree, as in
    ``super().__init__(**kwargs)``; there are no open-ended arguments.
    """
    if issubclass(cls, SourceClass):
        return cls.signature
    found: dict[str, Argument] = {}
    for owner in cls.__mro__:
        own, open_ended = own_arguments(owner)
        found = {**own, **found}
        if not open_ended:
            break
    return Signature(
        name=cls.__name__,
        arguments=found,
        kind=getattr(cls, "kind", None),
        context=tuple(getattr(cls, "context", ())),
        doc=first_line(cls.__dict__.get("__doc__")),
        abstract=tuple(sorted(getattr(cls, "__abstractmethods__", ()))),
    )


def own_arguments(cls: type) -> tuple[dict[str, Argument], bool]:
    """The arguments of the constructor that a class itself defines, and whether the next one's are accepted, too."""
    init = cls.__dict__.get("__init__")
    if not inspect.isfunction(init):
        return {}, True
    docs = argument_docs(cls.__doc__, init.__doc__)
    found: dict[str, Argument] = {}
    open_ended = False
    for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            required = parameter.default is parameter.empty
            default = None if required else plain_default(parameter.default)
            found[name] = Argument(_annotation(init, name), required, default, docs.get(name, ""))
    return found, open_ended


def plain_default(value: Any) -> Any:
    """A default as a config would write it."""
    if isinstance(value, (list, tuple)):
        items = [plain_default(each) for each in value]
        return NOT_PLAIN if NOT_PLAIN in items else items
    if isinstance(value, dict):
        return {key: plain_default(each) for key, each in value.items()}
    return value if value is None or type(value) in (bool, int, float, str) else NOT_PLAIN


def argument_docs(*docstrings: str | None) -> dict[str, str]:
    """What the sections ``Args`` and ``Attributes`` of Google docstrings say, by name, each on one line."""
    found: dict[str, str] = {}
    for text in docstrings:
        for section in _SECTION.findall(inspect.cleandoc(text or "")):
            for name, words in _ENTRY.findall(textwrap.dedent(section)):
                found[name] = " ".join(words.split())
    return found


def returns_doc(docstring: str) -> str:
    """What the section ``Returns`` of a Google docstring says, on one line."""
    return " ".join(" ".join(_RETURNS.findall(inspect.cleandoc(docstring))).split())


def docs_of(cls: type, packages: Collection[str]) -> Docs:
    """Return the docstrings of a class and of its methods.

    Args:
        cls: The class.
        packages: Top-level packages whose classes count.
    """
    methods: dict[str, list[tuple[str, str]]] = {}
    for owner in cls.__mro__:
        if owner.__module__.partition(".")[0] in packages:
            for name, member in vars(owner).items():
                if inspect.isfunction(member) and not name.startswith("_"):
                    methods.setdefault(name, []).append((owner.__module__, inspect.cleandoc(member.__doc__ or "")))
    return Docs(inspect.cleandoc(cls.__dict__.get("__doc__") or ""), methods)


def first_line(docstring: str | None) -> str:
    """The summary of a docstring."""
    return inspect.cleandoc(docstring or "").partition("\n")[0]


def _annotation(init: types.FunctionType, name: str) -> Any:
    """The annotation of one argument; each is resolved alone, so that one bad name spoils only its own."""
    if name not in init.__annotations__:
        return Any
    annotation = init.__annotations__[name]
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    try:
        return typing.get_type_hints(holder, globalns=init.__globals__)[name]
    except (NameError, AttributeError, TypeError, SyntaxError):
        return Unresolved(str(annotation))
