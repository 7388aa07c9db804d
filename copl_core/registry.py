"""The registry: a component's name in a config -> its class, and its block of a config -> a factory.

Checking a block reads the component's source and imports no torch; resolving a component imports it.
"""

import copy
import dataclasses
import importlib
import sys
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError, PluginError
from copl_core.config.origins import Origin, nearest
from copl_core.config.signature import Docs, Signature, Unresolved, docs_of, signature_of
from copl_core.config.source import SourceReader, UnreadableError
from copl_core.config.values import Problem, ValueReader, join, show
from copl_core.plugins import Component, ComponentTable
from copl_core.plugins.suggest import did_you_mean, listing

__all__ = ["ComponentFactory", "Problem", "Registry"]


class _RefusedError(ConfigError):
    """A constructor refuses a value of the config."""


class ComponentFactory:
    """Makes one component from its block of the config. What ``Factory[X]`` arguments receive.

    Attributes:
        config: The block as given, with ``type`` and all nested blocks.
        component: What ``type`` names, and which plugin, distribution and version it comes from.
        path: Where the block stands in the config.
    """

    def __init__(
        self,
        cls: type[Any],
        component: Component,
        config: Mapping[str, Any],
        path: str,
        kwargs: Mapping[str, Any],
        origins: Mapping[str, Origin],
    ) -> None:
        self.component = component
        self.config = copy.deepcopy(dict(config))
        self.path = path
        self._cls = cls
        self._origins = origins
        self._kwargs = copy.deepcopy(dict(kwargs))
        self._accepted = frozenset(signature_of(cls).arguments)

    def __call__(self, **context: Any) -> Any:
        """Build the component.

        Args:
            context: What the framework offers; what the constructor doesn't take is left out.

        Raises:
            ConfigError: The constructor refuses a value.
        """
        offered = {name: value for name, value in context.items() if name in self._accepted}
        try:
            return self._cls(**copy.deepcopy(self._kwargs), **offered)
        except _RefusedError:  # by a part of this one, which has told its place
            raise
        except ConfigError as error:
            raise _RefusedError(self._placed(str(error), str(error))) from error
        except ValueError as error:
            message = self._placed(f"{self.path}: {self.component.name}: {error}", str(error))
            raise _RefusedError(message) from error

    def _placed(self, message: str, reason: str) -> str:
        """A message with the place where the argument that the reason begins with was written, or else the block."""
        argument = reason.partition(" ")[0].rpartition(".")[2].removesuffix(":")
        place: Origin | None = nearest(self._origins, join(self.path, argument))
        return message if place is None or "\n" in message else f"{message} ({place})"

    def __repr__(self) -> str:
        return f"ComponentFactory({self.component.kind} {self.component.qualified!r} at {self.path})"

    def __deepcopy__(self, memo: dict[int, Any]) -> "ComponentFactory":
        """Return itself: a factory never changes, only the plain values around it are copied for each component."""
        return self

    def complete(self) -> dict[str, Any]:
        """Return the block with every argument, as plain data: defaults filled in, names of components qualified.

        Blocks that make the same component are equal then, however they are written. A default that isn't plain data is
        ``NOT_PLAIN``.
        """
        settable = signature_of(self._cls).settable
        values = {name: self._kwargs.get(name, argument.default) for name, argument in settable.items()}
        return {"type": self.component.qualified, **_plain(values)}

    def components(self) -> dict[str, Component]:
        """Return this component and all it is made of, by path."""
        found = {self.path: self.component}
        for value in self._kwargs.values():
            for part in _parts(value):
                found.update(part.components())
        return found


class Registry:
    """Resolves names and reads blocks.

    Args:
        table: What the plugins provide.
    """

    def __init__(self, table: ComponentTable) -> None:
        self.table = table
        self._classes: dict[Component, type] = {}
        self._signatures: dict[Component, Signature] = {}
        self._source = SourceReader({_package(component) for component in table.components()})

    def without(self, plugins: Collection[str], reason: str) -> "Registry":
        """Return a registry that doesn't see some plugins; see ``ComponentTable.without``."""
        return Registry(self.table.without(plugins, reason))

    def resolve(self, kind: str, name: str) -> type:
        """Return the class of a component, imported on first use.

        Raises:
            PluginError: The name is unknown or ambiguous, or its class can't be imported or isn't of the kind.
        """
        return self.resolve_component(self.table.find(kind, name))

    def resolve_component(self, component: Component) -> type:
        """Return the class of a component of the table; see ``resolve``."""
        if component not in self._classes:
            self._classes[component] = _import_class(component)
        return self._classes[component]

    def signature(self, component: Component) -> Signature:
        """Return what a component is configured with: from its source or, where that doesn't tell, its class.

        Raises:
            PluginError: It isn't there, isn't a class of its kind, or is incomplete.
        """
        if component not in self._signatures:
            try:
                signature = self._source.read(component.target)
            except UnreadableError:
                signature = signature_of(self.resolve_component(component))
            _check_kind(component, signature)
            self._signatures[component] = signature
        return self._signatures[component]

    def docs(self, component: Component) -> Docs:
        """Return what a component's class says of itself; see ``signature``."""
        try:
            return self._source.docs(component.target)
        except UnreadableError:
            return docs_of(self.resolve_component(component), self._source.packages)

    def problems(self, kind: str, config: Any, path: str) -> list[Problem]:
        """Return what is wrong with a block and the blocks in it, without building or importing a component.

        Args:
            kind: Kind of the component.
            config: The block: a mapping with ``type``, the rest being arguments of the constructor.
            path: Where the block stands.
        """
        return self.check(kind, config, path).problems

    def check(self, kind: str, config: Any, path: str) -> "Checked":
        """Return the ``problems`` of a block, and what it and the blocks in it consist of."""
        checker = _Checker(self)
        checker.read_component(kind, config, path)
        return Checked(checker.problems, checker.components, checker.places)

    def factory(self, kind: str, config: Any, *, path: str) -> ComponentFactory:
        """Turn a block into a factory of the component.

        Args:
            kind: Kind of the component.
            config: The block, see ``problems``.
            path: Where the block stands.

        Raises:
            ConfigError: Something is wrong with the block; lists everything.
        """
        return self.factories({path: (kind, config)})[path]

    def factories(
        self, blocks: Mapping[str, tuple[str, Any]], origins: Mapping[str, Origin] | None = None
    ) -> dict[str, ComponentFactory]:
        """Turn blocks into factories.

        Args:
            blocks: Kind and block by path.
            origins: By path, where the values were written, for what constructors refuse.

        Raises:
            ConfigError: Something is wrong; lists everything of all blocks.
        """
        maker = _Maker(self, origins or {})
        found = {path: maker.read_component(kind, config, path) for path, (kind, config) in blocks.items()}
        if maker.problems:
            raise ConfigError("\n".join(map(str, maker.problems)))
        return found

    def build(self, kind: str, config: Any, *, path: str, **context: Any) -> Any:
        """Build the component of a block: ``factory(kind, config, path=path)(**context)``."""
        return self.factory(kind, config, path=path)(**context)


@dataclasses.dataclass(frozen=True)
class Checked:
    """What is known of a block.

    Attributes:
        problems: What is wrong with it.
        components: The components that it names, by path; of those with problems some may be missing.
        places: Paths of the arguments of data sets that say where the data lie on this machine.
    """

    problems: list[Problem]
    components: dict[str, Component]
    places: list[str]


class _Checker(ValueReader):
    """Reads arguments that are components, to find what is wrong with them."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry
        self.components: dict[str, Component] = {}
        self.places: list[str] = []

    def read_component(self, kind: str, config: Any, path: str) -> Any:
        """Return what stands for the component, or None after noting problems."""
        component = self._find(kind, config, path)
        if component is None:
            return self._read_parts(kind, config, path)
        start = len(self.problems)
        block = {key: value for key, value in config.items() if key != "type"}
        try:
            signature = self.signature(component)
        except PluginError as error:
            return self.fail(join(path, "type"), str(error))
        kwargs = self.read_arguments(signature, block, path)
        if len(self.problems) > start:
            return None
        self.components[path] = component
        if component.kind == "dataset":
            places = (name for name, argument in signature.settable.items() if is_place(argument.annotation))
            self.places += [join(path, name) for name in places]
        return self.made(component, config, path, kwargs)

    def _read_parts(self, kind: str, config: Any, path: str) -> None:
        """Of a component that isn't known, read the parts that others of its kind have under the same names."""
        if not isinstance(config, Mapping):
            return
        for key, value in config.items():
            annotation = self._part(kind, key)
            if annotation is not None:
                self.read(value, annotation, join(path, key))

    def _part(self, kind: str, name: str) -> Any:
        """Annotation of the first argument of that name that is made of components; None if there is none."""
        for component in self.registry.table.components(kind):
            try:
                argument = self.registry.signature(component).settable.get(name)
            except PluginError:
                continue
            if argument is not None and _holds_components(argument.annotation):
                return argument.annotation
        return None

    def signature(self, component: Component) -> Signature:
        """What the component is configured with."""
        return self.registry.signature(component)

    def made(self, component: Component, config: Mapping[str, Any], path: str, kwargs: Mapping[str, Any]) -> Any:
        """What stands for a component without problems: the component of the table."""
        return component

    def _find(self, kind: str, config: Any, path: str) -> Component | None:
        where = join(path, "type")
        table = self.registry.table
        if not isinstance(config, Mapping):
            self.fail(path, f"expected a {kind}: keys and values with 'type', got {show(config)}")
        elif "type" not in config:
            known = listing(component.name for component in table.components(kind))
            self.fail(where, f"required: the name of a {kind}; known: {known}")
        elif not isinstance(config["type"], str):
            self.fail(where, f"expected the name of a {kind}, got {show(config['type'])}")
        else:
            try:
                return table.find(kind, config["type"])
            except PluginError as error:
                self.fail(where, str(error))
        return None

    def read_other(self, value: Any, annotation: Any, path: str) -> Any:
        """Read a nested component where the annotation is ``Factory[X]``."""
        kind = kind_of_factory(annotation)
        if kind:
            return self.read_component(kind, value, path)
        if isinstance(annotation, Unresolved) and "Factory" in annotation.text:
            return self.fail(path, f"annotation {annotation.text!r} can't be resolved; import its names at run time")
        return super().read_other(value, annotation, path)

    def read_item(self, value: Any, annotation: Any, path: str) -> Any:
        """A null among named components means that this one is absent."""
        if value is None and kind_of_factory(annotation):
            return _ABSENT
        return super().read_item(value, annotation, path)

    def _mapping(self, value: Any, annotation: Any, path: str) -> Any:
        result = super()._mapping(value, annotation, path)
        return result and {key: each for key, each in result.items() if each is not _ABSENT}

    def unknown_hint(self, settable: Sequence[str]) -> str:
        """Arguments that resemble nothing are mostly another component's, merged in from a base config."""
        rest = "if it comes from a base config, replace the whole block with `_delete_: true`"
        return f"{super().unknown_hint(settable)}; {rest}"


class _Maker(_Checker):
    """Imports the components and makes their factories."""

    def __init__(self, registry: Registry, origins: Mapping[str, Origin]) -> None:
        super().__init__(registry)
        self.origins = origins

    def signature(self, component: Component) -> Signature:
        """What the class takes."""
        return signature_of(self.registry.resolve_component(component))

    def made(self, component: Component, config: Mapping[str, Any], path: str, kwargs: Mapping[str, Any]) -> Any:
        """The factory."""
        cls = self.registry.resolve_component(component)
        return ComponentFactory(cls, component, config, path, kwargs, self.origins)


#: Stands for a component that was removed by setting it to null.
_ABSENT = object()


def is_place(annotation: Any) -> bool:
    """Whether the values of an annotation are files or folders."""
    return annotation is Path or any(map(is_place, typing.get_args(annotation)))


def _holds_components(annotation: Any) -> bool:
    """Whether the values of an annotation are, or are made of, components."""
    return kind_of_factory(annotation) is not None or any(map(_holds_components, typing.get_args(annotation)))


def kind_of_factory(annotation: Any) -> str | None:
    """Kind of the component that a ``Factory[X]`` makes; None for any other annotation."""
    origin = typing.get_origin(annotation)
    # By name: importing the contracts imports torch, and a class that stands for one that was only read isn't it.
    if (getattr(origin, "__module__", None), getattr(origin, "__name__", None)) != _FACTORY:
        return None
    (part,) = typing.get_args(annotation)
    kind = getattr(part, "kind", None)
    return kind if isinstance(kind, str) else None


_FACTORY = ("copl_core.contracts.factory", "Factory")


def _parts(value: Any) -> Iterator[ComponentFactory]:
    """The factories in the value of an argument."""
    if isinstance(value, ComponentFactory):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _parts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _parts(each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))


def _plain(value: Any) -> Any:
    """A value as a config would write it."""
    if isinstance(value, ComponentFactory):
        return value.complete()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _package(component: Component) -> str:
    """The top-level package that a component lies in."""
    return component.target.partition(":")[0].partition(".")[0]


def _import_class(component: Component) -> type:
    """Import a component's class and check that it is a whole one of its kind."""
    title = _title(component)
    module_name, _, class_name = component.target.partition(":")
    try:
        # Standard output is for answers that other programs read.
        with redirect_stdout(sys.stderr):
            module = importlib.import_module(module_name)
    # A module that calls sys.exit() is as broken as one that raises.
    except (Exception, SystemExit) as error:
        raise PluginError(f"{title} could not be imported: {type(error).__name__}: {error}") from error
    try:
        cls = getattr(module, class_name)
    except AttributeError as error:
        hint = did_you_mean(class_name, vars(module))
        raise PluginError(f"{title} could not be imported: {module_name} has no {class_name!r}{hint}") from error
    if not isinstance(cls, type):
        raise PluginError(f"{title} is not a class")
    _check_kind(component, signature_of(cls))
    return cls


def _check_kind(component: Component, signature: Signature) -> None:
    """Refuse a class that isn't one of its kind, or isn't complete."""
    title = _title(component)
    if signature.kind != component.kind:
        raise PluginError(
            f"{title} is not a {component.kind}: its kind is {signature.kind!r}; derive it from the contract"
        )
    if signature.abstract:
        raise PluginError(f"{title} is incomplete: it does not define {listing(signature.abstract)}")


def _title(component: Component) -> str:
    source = f"plugin {component.plugin} {component.version}, target {component.target}"
    return f"{component.kind} {component.name!r} ({source})"
