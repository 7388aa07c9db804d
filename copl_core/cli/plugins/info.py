"""copl plugins info: a component's arguments, shapes, place in a config, and source. Imports no component."""

import argparse
import dataclasses
import json
import re
import typing
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copl_core.api import KINDS
from copl_core.cli.plugins.example import describe_type, example

if TYPE_CHECKING:
    from copl_core.config.signature import Docs, Signature
    from copl_core.plugins import Component
    from copl_core.registry import Registry

_CONTRACTS = "copl_core.contracts"
_SECTION = re.compile(r"^(?:Args|Attributes|Raises):$", re.MULTILINE)


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = subparsers.add_parser("info", help="a component's arguments, shapes and source", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="of a component, bare or as <plugin>.<name>")
    parser.add_argument("--kind", choices=KINDS, help="where components of several kinds have the name")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)


@dataclasses.dataclass(frozen=True)
class Description:
    """All there is to tell of a component.

    Attributes:
        component: Where it comes from.
        doc: What its class says of itself.
        file: Where the class is defined.
        arguments: Those that a config may set: name, type, required or default, doc.
        set_by_framework: Names of the others.
        methods: What its public methods do, by name, and a line for each argument and result that has a shape.
        example: Its block in a config, as YAML.
    """

    component: "Component"
    doc: str
    file: str
    arguments: list[dict[str, Any]]
    set_by_framework: list[str]
    methods: dict[str, str]
    example: str


def run(options: argparse.Namespace) -> int:
    """Print each component of that name."""
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    table = get_table()
    registry = Registry(table)
    components = [table.find(options.kind, options.name)] if options.kind else table.named(options.name)
    found = [describe(component, registry) for component in components]
    if options.json:
        print(json.dumps([dataclasses.asdict(description) for description in found], indent=2))
        return 0
    for number, description in enumerate(found):
        print("\n" * bool(number) + "\n".join(_lines(description)))
    return 0


def describe(component: "Component", registry: "Registry") -> Description:
    """Gather what is known of a component from its source, or from its class where the source doesn't tell."""
    signature = registry.signature(component)
    module, _, _ = component.target.partition(":")
    docs = registry.docs(component)
    return Description(
        component=component,
        doc=_SECTION.split(docs.text)[0].strip(),
        file=str(_file(module) or module),
        arguments=list(_arguments(signature)),
        set_by_framework=[name for name in signature.arguments if name in signature.context],
        methods=dict(_methods(docs)),
        example=example(component, registry),
    )


def _file(module: str) -> Path | None:
    """Where a module lies; of a package within a package, the outer one is imported to know."""
    try:
        spec = find_spec(module)
    except ImportError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _methods(docs: "Docs") -> Iterator[tuple[str, str]]:
    """Each method with what it does and the shapes of its tensors, which a class may leave to the contract to say."""
    from copl_core.config.signature import SHAPE

    for name, described in docs.methods.items():
        texts = [text for _, text in described if text]
        shaped = next((text for text in texts if SHAPE.search(text)), "")
        # What only the contracts define tells nothing of this component.
        if texts and not all(module.startswith(_CONTRACTS) for module, _ in described):
            summary = " ".join(texts[0].partition("\n\n")[0].split())
            yield name, "\n".join([summary, *_shapes(shaped)])


def _shapes(text: str) -> Iterator[str]:
    """What a docstring says of arguments and results that have a shape, a line each."""
    from copl_core.config.signature import SHAPE, argument_docs, returns_doc

    for name, doc in argument_docs(text).items():
        if SHAPE.search(doc):
            yield f"{name}: {doc}"
    result = returns_doc(text)
    if SHAPE.search(result):
        yield f"returns: {result}"


def _arguments(signature: "Signature", prefix: str = "") -> Iterator[dict[str, Any]]:
    """A row for each argument that a config may set; those of a record within it follow it."""
    from copl_core.config.signature import signature_of
    from copl_core.config.values import is_record

    for name, argument in signature.settable.items():
        row = {"name": prefix + name, "type": describe_type(argument.annotation), "required": argument.required}
        yield {**row, **({} if argument.required else {"default": argument.default}), "doc": argument.doc}
        for option in typing.get_args(argument.annotation) or [argument.annotation]:
            if isinstance(option, type) and is_record(option):
                yield from _arguments(signature_of(option), f"{prefix}{name}.")


def _lines(description: Description) -> Sequence[str]:
    """The text for a person."""
    component = description.component
    lines = [
        f"{component.kind} {component.name}: {component.summary or description.doc.partition(chr(10))[0]}",
        f"  plugin {component.plugin}, {component.distribution} {component.version}",
        f"  {component.target}",
        f"  {description.file}",
        "",
        *_indent(description.doc),
        "",
        "arguments" if description.arguments else "arguments: none",
    ]
    for row in description.arguments:
        default = "required" if row["required"] else f"default {json.dumps(row['default'])}"
        lines.append(f"  {row['name']}: {row['type']}, {default}")
        lines += [f"      {row['doc']}"] if row["doc"] else []
    if description.set_by_framework:
        lines.append(f"  set by the framework: {', '.join(description.set_by_framework)}")
    if description.methods:
        lines += ["", "methods"]
        for name, text in description.methods.items():
            summary, *shapes = text.splitlines()
            lines += [f"  {name}: {summary}", *(f"      {line}" for line in shapes)]
    return [*lines, "", "in a config", *_indent(description.example)]


def _indent(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]
