"""What a class can be constructed with, read from its source: no module of a component is imported for it.

A component's module imports torch, which takes seconds; its source is read in milliseconds. What only running the
module would tell (a class made by a function, arguments inherited from torch) raises ``UnreadableError``, and the
caller imports instead.
"""

import ast
import builtins
import importlib
import sys
import types
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, resolve_name
from typing import Any, Literal, Union

from copl_core.config.signature import (
    NOT_PLAIN,
    Argument,
    Docs,
    Signature,
    SourceClass,
    argument_docs,
    first_line,
    own_arguments,
    plain_default,
)

#: Decorators that leave the constructor as it is written, or as ``dataclass`` makes it.
_DATACLASS = ("dataclass", "dataclasses.dataclass")
_CORE = __name__.partition(".")[0]


class UnreadableError(Exception):
    """Reading the source doesn't answer; importing does."""


@dataclass(frozen=True)
class _Import:
    """A name that an import binds: a module, or a member of one."""

    module: str
    member: str | None = None


class SourceReader:
    """Reads classes from source. Every module is read once.

    Args:
        packages: Top-level packages that may be read, besides this one: those of the plugins. All others, torch among
            them, are large, and say nothing of components.
    """

    def __init__(self, packages: Collection[str]) -> None:
        self.packages = {*packages, _CORE}
        self._modules: dict[str, _Module] = {}

    def read(self, target: str) -> Signature:
        """Return what a class can be constructed with.

        Args:
            target: ``"package.module:Class"``.

        Raises:
            UnreadableError: Only importing it would tell.
        """
        # ``class X(X)`` and the like: the name meant something else before.
        try:
            return self._class(target).signature()
        except RecursionError as error:
            raise UnreadableError(f"{target} refers to itself") from error

    def docs(self, target: str) -> Docs:
        """Return what a class says of itself; arguments and errors are those of ``read``."""
        try:
            return self._class(target).docs()
        except RecursionError as error:
            raise UnreadableError(f"{target} refers to itself") from error

    def _class(self, target: str) -> "_Class":
        module, _, name = target.partition(":")
        found = self.member(module, name)
        if not isinstance(found, _Class):
            raise UnreadableError(f"{target} is not a class statement")
        return found

    def module(self, name: str) -> "_Module":
        """Return a module, parsed."""
        if name.partition(".")[0] not in self.packages:
            raise UnreadableError(f"{name} is no module of a plugin")
        if name not in self._modules:
            self._modules[name] = _Module(name, self)
        return self._modules[name]

    def member(self, module: str, name: str) -> Any:
        """Return what ``from module import name`` would, as far as source tells."""
        if module.partition(".")[0] in sys.stdlib_module_names:
            return _standard(module, name)
        found = self.module(module)
        if name not in found.names and _locate(f"{module}.{name}"):
            return _Import(f"{module}.{name}")
        return found.resolve(name)


class _Module:
    """The names that a module's statements bind, without running any."""

    def __init__(self, name: str, reader: SourceReader) -> None:
        spec = _locate(name)
        read = getattr(spec and spec.loader, "get_source", None)
        try:
            text = read(name) if read else None
            tree = ast.parse(text or "")
        except (ImportError, SyntaxError, ValueError) as error:
            raise UnreadableError(f"{name}: {error}") from error
        if spec is None or text is None:
            raise UnreadableError(f"{name} has no source")
        self.name = name
        self.reader = reader
        self.package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        self.names: dict[str, ast.AST | _Import | None] = {}
        self._classes: dict[str, _Class] = {}
        for statement in tree.body:
            self.names.update(self._bound(statement))

    def resolve(self, name: str) -> Any:
        """What a name means: a ``_Class``, a ``_Import`` of a module, an object of the standard library, a type."""
        if name not in self.names:
            if hasattr(builtins, name):
                return getattr(builtins, name)
            raise UnreadableError(f"{self.name} binds no {name!r}")
        bound = self.names[name]
        if isinstance(bound, _Import):
            if bound == _Import(self.name, name):  # ``from package import module`` in the package itself
                return _Import(f"{self.name}.{name}")
            return bound if bound.member is None else self.reader.member(bound.module, bound.member)
        if isinstance(bound, ast.ClassDef):
            if name not in self._classes:
                self._classes[name] = _Class(bound, self)
            return self._classes[name]
        if isinstance(bound, ast.expr):
            return self.evaluate(bound)
        raise UnreadableError(f"{self.name} makes {name!r} in a way that only running it would tell")

    def evaluate(self, node: ast.expr) -> Any:
        """Evaluate an annotation, as far as it consists of names."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self.evaluate(_parse_expression(node.value))
        if isinstance(node, ast.Constant) and (node.value is None or node.value is Ellipsis):
            return node.value
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return Union[self.evaluate(node.left), self.evaluate(node.right)]  # noqa: UP007  (of values)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            found = self.look_up(node)
            if not isinstance(found, _Import):
                return found.stand_in() if isinstance(found, _Class) else found
        raise UnreadableError(f"{self.name}:{node.lineno}: {ast.unparse(node)}")

    def look_up(self, node: ast.expr) -> Any:
        """What a dotted name means."""
        if isinstance(node, ast.Name):
            return self.resolve(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.look_up(node.value)
            if isinstance(owner, _Import):
                return self.reader.member(owner.module, node.attr)
        raise UnreadableError(f"{self.name}:{node.lineno}: {ast.unparse(node)}")

    def default(self, node: ast.expr) -> Any:
        """A default value where it is plain data, written out or under a name."""
        try:
            if isinstance(node, ast.Name):
                bound = self.names.get(node.id)
                if isinstance(bound, _Import) and bound.member is not None:
                    return self.reader.module(bound.module).default(ast.Name(bound.member))
                node = bound if isinstance(bound, ast.expr) else node
            return plain_default(ast.literal_eval(node))
        except (ValueError, TypeError, UnreadableError):
            return NOT_PLAIN

    def _subscript(self, node: ast.Subscript) -> Any:
        origin = self.evaluate(node.value)
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if origin is Literal:
            try:
                return Literal[tuple(ast.literal_eval(item) for item in items)]
            except ValueError as error:
                raise UnreadableError(str(error)) from error
        if getattr(origin, "__name__", "") == "Annotated":
            return self.evaluate(items[0])
        arguments = tuple(self.evaluate(item) for item in items)
        if isinstance(origin, type) and issubclass(origin, SourceClass):
            return types.GenericAlias(origin, arguments)
        try:
            return origin[arguments if len(arguments) > 1 else arguments[0]]
        except TypeError as error:
            raise UnreadableError(str(error)) from error

    def _bound(self, statement: ast.stmt) -> Iterator[tuple[str, "ast.AST | _Import | None"]]:
        """The names that a statement binds; None for what depends on the run."""
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement.name, statement
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], _Import(_bound_module(alias))
        elif isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            source = resolve_name(module, self.package) if statement.level else module
            for alias in statement.names:
                yield alias.asname or alias.name, _Import(source, alias.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
        elif not isinstance(statement, ast.Expr):
            for inner in ast.walk(statement):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.id, None
                elif isinstance(inner, (ast.ClassDef, ast.FunctionDef)):
                    yield inner.name, None
                elif isinstance(inner, ast.alias):
                    yield inner.asname or inner.name.partition(".")[0], None


class _Class:
    """A class statement."""

    def __init__(self, node: ast.ClassDef, module: _Module) -> None:
        self.node = node
        self.module = module
        self._stand_in: type[SourceClass] | None = None

    def refuse_unclear(self) -> None:
        """Refuse a class that its decorators may have replaced by another, or whose body depends on the run."""
        for decorator in self.node.decorator_list:
            if _name_of(decorator) not in _DATACLASS:
                raise UnreadableError(f"{self.node.name} is decorated with {ast.unparse(decorator)}")
        for statement in self.node.body:
            if not _is_plain(statement):
                raise UnreadableError(
                    f"{self.module.name}:{statement.lineno}: only running {self.node.name} would tell"
                )

    @property
    def is_decorated(self) -> bool:
        """Whether ``dataclass`` makes its constructor."""
        return any(_name_of(each) in _DATACLASS for each in self.node.decorator_list)

    @property
    def is_dataclass(self) -> bool:
        """Whether it, or one that it derives from, is a dataclass."""
        return any(owner.is_decorated for owner in self.lineage() if isinstance(owner, _Class))

    def stand_in(self) -> type[SourceClass]:
        """A class that stands for this one in annotations."""
        if self._stand_in is None:
            names = {"kind": self.value("kind"), "is_record": self.is_dataclass, "__module__": self.module.name}
            self._stand_in = type(self.node.name, (SourceClass,), names)
            if self.is_dataclass:
                self._stand_in.signature = self.signature()
        return self._stand_in

    def lineage(self) -> "list[_Class | type | None]":
        """The class and its bases in the order in which names are looked up; None for a base that can't be read."""
        found: list[_Class | type | None] = [self]
        for expression in self.node.bases:
            base = self._base(expression)
            found += base.lineage() if isinstance(base, _Class) else [base]
        # Of a base that comes twice the later place counts, as in Python's own order.
        return [each for index, each in enumerate(found) if each is None or each not in found[index + 1 :]]

    def value(self, name: str) -> Any:
        """A class attribute that is plain data; None where there is none."""
        for owner in self.lineage():
            if not isinstance(owner, _Class):
                continue
            owner.refuse_unclear()
            if name in owner.attributes():
                node = owner.attributes()[name]
                try:
                    return None if node is None else ast.literal_eval(node)
                except ValueError as error:
                    raise UnreadableError(f"{owner.node.name}.{name} is computed") from error
        return None

    def attributes(self) -> dict[str, ast.expr | None]:
        """The names that the class body binds, with the values of the assigned ones."""
        found: dict[str, ast.expr | None] = {}
        for statement in self.node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found[statement.name] = None
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
                found[statement.target.id] = statement.value
            elif isinstance(statement, ast.Assign):
                found.update({each.id: statement.value for each in statement.targets if isinstance(each, ast.Name)})
        return found

    def signature(self) -> Signature:
        """What the class can be constructed with, by the rule of ``signature_of``."""
        context = tuple(self.value("context") or ())
        found: dict[str, Argument] = {}
        for owner in self.lineage():
            if owner is None:
                raise UnreadableError(f"{self.node.name} takes the arguments of a base that can't be read")
            if isinstance(owner, _Class):
                owner.refuse_unclear()
            own, open_ended = owner.own_arguments(context) if isinstance(owner, _Class) else own_arguments(owner)
            found = {**own, **found}
            if not open_ended:
                break
        doc = first_line(ast.get_docstring(self.node))
        return Signature(self.node.name, found, self.value("kind"), context, doc, self._abstract())

    def docs(self) -> Docs:
        """What the class says of itself, by the rule of ``docs_of``."""
        methods: dict[str, list[tuple[str, str]]] = {}
        for owner in self.lineage():
            if isinstance(owner, _Class):
                owner.refuse_unclear()
                for each in owner.node.body:
                    if isinstance(each, ast.FunctionDef) and not each.name.startswith("_") and not each.decorator_list:
                        text = ast.get_docstring(each) or ""
                        methods.setdefault(each.name, []).append((owner.module.name, text))
        return Docs(ast.get_docstring(self.node) or "", methods)

    def own_arguments(self, context: tuple[str, ...]) -> tuple[dict[str, Argument], bool]:
        """The arguments of the constructor that the class itself defines, and whether the next one's are accepted."""
        functions = [each for each in self.node.body if isinstance(each, ast.FunctionDef)]
        init = next((each for each in reversed(functions) if each.name == "__init__"), None)
        if init is None:
            if "__init__" in self.attributes():
                raise UnreadableError(f"the constructor of {self.node.name} is made elsewhere")
            return (self._fields(), False) if self.is_decorated else ({}, True)
        if init.decorator_list:
            raise UnreadableError(f"the constructor of {self.node.name} is decorated")
        docs = argument_docs(ast.get_docstring(self.node), ast.get_docstring(init))
        found = {}
        for argument, default in _parameters(init.args):
            name = argument.arg
            found[name] = self._argument(argument.annotation, default, docs.get(name, ""), name in context)
        return found, init.args.kwarg is not None

    def _fields(self) -> dict[str, Argument]:
        """The arguments of the constructor that ``dataclass`` makes."""
        found: dict[str, Argument] = {}
        docs = argument_docs(ast.get_docstring(self.node))
        for owner in reversed(self.lineage()):
            if not isinstance(owner, _Class) or not owner.is_decorated:
                continue
            for statement in owner.node.body:
                if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                    continue
                name, value = statement.target.id, statement.value
                annotation = _name_of(statement.annotation)
                if annotation.rpartition(".")[2] in ("ClassVar", "KW_ONLY"):
                    continue
                if isinstance(value, ast.Call):
                    options = {each.arg: each.value for each in value.keywords}
                    if ast.unparse(options.get("init", ast.Constant(True))) == "False":
                        continue
                    value = options.get("default", value if "default_factory" in options else None)
                found[name] = owner._argument(statement.annotation, value, docs.get(name, ""), False)
        return found

    def _argument(self, annotation: ast.expr | None, default: ast.expr | None, doc: str, is_context: bool) -> Argument:
        # What the framework sets is of no type that a config could hold; it need not be known.
        known = Any if annotation is None or is_context else self.module.evaluate(annotation)
        value = None if default is None else self.module.default(default)
        return Argument(known, default is None, value, doc)

    def _base(self, expression: ast.expr) -> "_Class | type | None":
        node = expression.value if isinstance(expression, ast.Subscript) else expression
        try:
            found = self.module.look_up(node)
        except UnreadableError:
            # What the contracts themselves derive from (torch's Module and Dataset) takes no arguments.
            return object if self.module.name.partition(".")[0] == _CORE else None
        return found if isinstance(found, (_Class, type)) else None

    def _abstract(self) -> tuple[str, ...]:
        """The methods left undefined, as far as the bases can be read."""
        defined: set[str] = set()
        missing: set[str] = set()
        for owner in self.lineage():
            if owner is None:
                break
            if isinstance(owner, _Class):
                owner.refuse_unclear()
                functions = [each for each in owner.node.body if isinstance(each, ast.FunctionDef)]
                missing |= {each.name for each in functions if _is_abstract(each)} - defined
                defined |= owner.attributes().keys()
        return tuple(sorted(missing))


def _locate(name: str) -> ModuleSpec | None:
    """Find a module without importing the packages it lies in."""
    first, *rest = name.split(".")
    try:
        spec = find_spec(first)
    except (ImportError, ValueError):
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    return spec


def _standard(module: str, name: str) -> Any:
    """A member of the standard library, which is light."""
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UnreadableError(str(error)) from error
    return _Import(f"{module}.{name}") if isinstance(found, types.ModuleType) else found


def _bound_module(alias: ast.alias) -> str:
    """``import a.b`` binds a, ``import a.b as c`` binds a.b."""
    return alias.name if alias.asname else alias.name.partition(".")[0]


def _parameters(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """The named parameters after ``self``, with their defaults."""
    positional = [*arguments.posonlyargs, *arguments.args]
    without: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    yield from list(zip(positional, [*without, *arguments.defaults], strict=True))[1:]
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def _parse_expression(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise UnreadableError(str(error)) from error


def _name_of(node: ast.expr) -> str:
    """The name of a decorator or an annotation, without what it is called or subscripted with."""
    if isinstance(node, ast.Call):
        return _name_of(node.func)
    return _name_of(node.value) if isinstance(node, ast.Subscript) else ast.unparse(node)


def _is_plain(statement: ast.stmt) -> bool:
    """Whether the names that a statement of a class body binds, if any, are there to read."""
    if isinstance(statement, ast.Assign):
        return all(isinstance(each, ast.Name) for each in statement.targets)
    return isinstance(
        statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.AnnAssign, ast.Expr, ast.Pass)
    )


def _is_abstract(node: ast.FunctionDef) -> bool:
    return any(_name_of(each).rpartition(".")[2] == "abstractmethod" for each in node.decorator_list)
