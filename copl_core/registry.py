"""The registry: a component's name in a config -> its class, and its block of a config -> a factory.

Importing this module imports no torch; resolving a component does.
"""

import copy
import dataclasses
import importlib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from copl_core.api import ConfigError, PluginError
from copl_core.config.values import Problem, Unresolved, ValueReader, arguments, join, show
from copl_core.plugins import Component, ComponentTable
from copl_core.plugins.suggest import did_you_mean, listing

__all__ = ["ComponentFactory", "Problem", "Registry"]


class ComponentFactory:
    """Makes one component from its block of the config. What ``Factory[X]`` arguments receive.

    Attributes:
        config: The block as given, with ``type`` and all nested blocks.
        component: What ``type`` names, and which plugin, distribution and version it comes from.
        path: Where the block stands in the config.
    """

    def __init__(
        self, cls: type[Any], component: Component, config: Mapping[str, Any], path: str, kwargs: Mapping[str, Any]
    ) -> None:
        self.component = component
        self.config = copy.deepcopy(dict(config))
        self.path = path
        self._cls = cls
        self._kwargs = copy.deepcopy(dict(kwargs))
        self._accepted = frozenset(arguments(cls))

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
        except ValueError as error:
            raise ConfigError(f"{self.path}: {self.component.name}: {error}") from error

    def __repr__(self) -> str:
        return f"ComponentFactory({self.component.kind} {self.component.qualified!r} at {self.path})"

    def __deepcopy__(self, memo: dict[int, Any]) -> "ComponentFactory":
        """Return itself: a factory never changes, only the plain values around it are copied for each component."""
        return self

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

    def problems(self, kind: str, config: Any, path: str) -> list[Problem]:
        """Return everything wrong with a block and the blocks in it, without building anything.

        Args:
            kind: Kind of the component.
            config: The block: a mapping with ``type``, the rest being arguments of the constructor.
            path: Where the block stands.
        """
        reader = _Reader(self)
        reader.read_component(kind, config, path)
        return reader.problems

    def factory(self, kind: str, config: Any, *, path: str) -> ComponentFactory:
        """Turn a block into a factory of the component.

        Args:
            kind: Kind of the component.
            config: The block, see ``problems``.
            path: Where the block stands.

        Raises:
            ConfigError: Something is wrong with the block; lists everything.
        """
        reader = _Reader(self)
        factory = reader.read_component(kind, config, path)
        if factory is None or reader.problems:
            raise ConfigError("\n".join(map(str, reader.problems)))
        return factory

    def build(self, kind: str, config: Any, *, path: str, **context: Any) -> Any:
        """Build the component of a block: ``factory(kind, config, path=path)(**context)``."""
        return self.factory(kind, config, path=path)(**context)


class _Reader(ValueReader):
    """Reads arguments that are components."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry

    def read_component(self, kind: str, config: Any, path: str) -> ComponentFactory | None:
        """Return a factory, or None after noting problems."""
        if not isinstance(config, Mapping):
            self.fail(path, f"expected a {kind}: keys and values with 'type', got {show(config)}")
            return None
        where = join(path, "type")
        if "type" not in config:
            known = listing(component.name for component in self._registry.table.components(kind))
            self.fail(where, f"required: the name of a {kind}; known: {known}")
            return None
        name = config["type"]
        if not isinstance(name, str):
            self.fail(where, f"expected the name of a {kind}, got {show(name)}")
            return None
        try:
            component = self._registry.table.find(kind, name)
            cls = self._registry.resolve_component(component)
        except PluginError as error:
            self.fail(where, str(error))
            return None
        start = len(self.problems)
        block = {key: value for key, value in config.items() if key != "type"}
        kwargs = self.read_arguments(cls, block, path, getattr(cls, "context", ()))
        if len(self.problems) > start:
            return None
        return ComponentFactory(cls, component, config, path, kwargs)

    def read_other(self, value: Any, annotation: Any, path: str) -> Any:
        """Read a nested component where the annotation is ``Factory[X]``."""
        kind = _kind_of_factory(annotation)
        if kind:
            return self.read_component(kind, value, path)
        if isinstance(annotation, Unresolved) and "Factory" in annotation.text:
            return self.fail(path, f"annotation {annotation.text!r} can't be resolved; import its names at run time")
        return super().read_other(value, annotation, path)

    def read_item(self, value: Any, annotation: Any, path: str) -> Any:
        """A null among named components means that this one is absent."""
        if value is None and _kind_of_factory(annotation):
            return _ABSENT
        return super().read_item(value, annotation, path)

    def _mapping(self, value: Any, annotation: Any, path: str) -> Any:
        result = super()._mapping(value, annotation, path)
        return result and {key: each for key, each in result.items() if each is not _ABSENT}

    def unknown_hint(self, settable: Sequence[str]) -> str:
        """Arguments that resemble nothing are mostly another component's, merged in from a base config."""
        rest = "if it comes from a base config, replace the whole block with `_delete_: true`"
        return f"{super().unknown_hint(settable)}; {rest}"


#: Stands for a component that was removed by setting it to null.
_ABSENT = object()


def _kind_of_factory(annotation: Any) -> str | None:
    """Kind of the component that a ``Factory[X]`` makes; None for any other annotation."""
    # Importing the contracts imports torch. Whoever asks has just imported a component, so torch is there already.
    from copl_core.contracts.factory import Factory

    if typing.get_origin(annotation) is not Factory:
        return None
    (part,) = typing.get_args(annotation)
    kind = getattr(part, "kind", None)
    return kind if isinstance(kind, str) else None


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


def _import_class(component: Component) -> type:
    """Import a component's class and check that it is one of its kind."""
    source = f"plugin {component.plugin} {component.version}, target {component.target}"
    title = f"{component.kind} {component.name!r} ({source})"
    module_name, _, class_name = component.target.partition(":")
    try:
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
    kind = getattr(cls, "kind", None)
    if kind != component.kind:
        raise PluginError(f"{title} is not a {component.kind}: its kind is {kind!r}; derive it from the contract")
    missing = getattr(cls, "__abstractmethods__", ())
    if missing:
        raise PluginError(f"{title} is incomplete: it does not define {listing(missing)}")
    return cls
