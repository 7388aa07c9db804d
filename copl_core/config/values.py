"""Values from a config, read by the annotations of what they are for.

One walk both checks a value and converts it (a list for ``tuple[int, ...]`` becomes a tuple, a mapping for a dataclass
becomes one), and collects every problem on the way instead of stopping at the first.
"""

import collections.abc
import dataclasses
import reprlib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from copl_core.api import ConfigError
from copl_core.config.signature import Signature, SourceClass, Unresolved, signature_of
from copl_core.plugins.suggest import did_you_mean, listing

SEQUENCES = (collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


@dataclass(frozen=True)
class Problem:
    """Something wrong in a config.

    Attributes:
        path: Where, as keys joined by dots.
        message: What, and what to do.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def join(path: str, key: str | int) -> str:
    """Append a key to a path."""
    return f"{path}.{key}" if path else str(key)


class ValueReader:
    """Reads plain values. The registry adds the reading of components.

    Attributes:
        problems: Everything wrong so far.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def fail(self, path: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(path, message))

    def read(self, value: Any, annotation: Any, path: str) -> Any:
        """Return the value as the annotation wants it, or None after noting a problem.

        Args:
            value: Plain data.
            annotation: A resolved annotation.
            path: Where the value stands.
        """
        annotation = bare(annotation)
        origin = typing.get_origin(annotation)
        container = origin or annotation
        if annotation in (Any, object) or isinstance(annotation, TypeVar):
            return value
        if origin in (Union, types.UnionType):
            return self._union(value, annotation, path)
        if origin is Literal:
            return self._literal(value, typing.get_args(annotation), path)
        if annotation in (bool, int, float, str, types.NoneType, None):
            return self._plain(value, annotation, path)
        if container in (list, tuple, *SEQUENCES):
            return self._sequence(value, annotation, path)
        if container in MAPPINGS:
            return self._mapping(value, annotation, path)
        if annotation is Path and isinstance(value, str):
            return Path(value)
        if isinstance(annotation, type) and is_record(annotation):
            return self._record(value, annotation, path)
        return self.read_other(value, annotation, path)

    def read_other(self, value: Any, annotation: Any, path: str) -> Any:
        """Read a value whose annotation is none of the plain ones."""
        if isinstance(annotation, Unresolved):
            return value
        return self.fail(path, f"cannot be set in a config: its type is {describe(annotation)}")

    def read_arguments(self, signature: Signature, config: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Read the arguments of a constructor.

        Args:
            signature: What it takes.
            config: The arguments.
            path: Where they stand.
        """
        settable = signature.settable
        result: dict[str, Any] = {}
        for key, value in config.items():
            where = join(path, key)
            if key in signature.context:
                self.fail(where, "set by the framework: remove it")
            elif key in settable:
                result[key] = self.read(value, settable[key].annotation, where)
            else:
                hint = did_you_mean(key, settable) or self.unknown_hint(tuple(settable))
                self.fail(where, f"{signature.name} has no argument {key!r}{hint}")
        for name, argument in settable.items():
            if argument.required and name not in config:
                self.fail(join(path, name), f"required by {signature.name}")
        return result

    def unknown_hint(self, settable: Sequence[str]) -> str:
        """What to say of an unknown argument that resembles none."""
        return f"; it has: {listing(settable)}"

    def _union(self, value: Any, annotation: Any, path: str) -> Any:
        options = typing.get_args(annotation)
        if value is None and types.NoneType in options:
            return None
        options = tuple(option for option in options if option is not types.NoneType)
        start = len(self.problems)
        attempts = []
        for option in options:
            result = self.read(value, option, path)
            if len(self.problems) == start:
                return result
            attempts.append(self.problems[start:])
            del self.problems[start:]
        # An option whose problems all lie deeper took the value's outer form: those tell more than "none fits".
        inner = [attempt for attempt in attempts if all(problem.path != path for problem in attempt)]
        if len(options) == 1 or inner:
            self.problems += (inner or attempts)[0]
        else:
            self.fail(path, f"expected {describe(annotation)}, got {show(value)}")
        return None

    def _literal(self, value: Any, options: Sequence[Any], path: str) -> Any:
        for option in options:
            # True == 1, but a config that says one doesn't mean the other.
            if type(value) is type(option) and value == option:
                return value
        words = [option for option in options if isinstance(option, str)]
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        return self.fail(path, f"expected one of {', '.join(map(repr, options))}, got {show(value)}{hint}")

    def _plain(self, value: Any, annotation: Any, path: str) -> Any:
        if annotation in (None, types.NoneType):
            return None if value is None else self.fail(path, f"expected null, got {show(value)}")
        if type(value) is annotation:
            return value
        if annotation is float and type(value) is int:
            try:
                return float(value)
            except OverflowError:
                return self.fail(path, "expected a number below 1.8e308")
        return self.fail(path, f"expected {describe(annotation)}, got {show(value)}")

    def _sequence(self, value: Any, annotation: Any, path: str) -> Any:
        items = typing.get_args(annotation)
        as_tuple = (typing.get_origin(annotation) or annotation) is not list
        if not isinstance(value, (list, tuple)):
            return self.fail(path, f"expected a list, got {show(value)}")
        if (typing.get_origin(annotation) or annotation) is tuple and items and items[-1] is not Ellipsis:
            if len(items) != len(value):
                return self.fail(path, f"expected a list of {len(items)}, got {len(value)}: {show(value)}")
            result = [self.read(*pair, join(path, i)) for i, pair in enumerate(zip(value, items, strict=True))]
        else:
            item = items[0] if items else Any
            result = [self.read(each, item, join(path, i)) for i, each in enumerate(value)]
        return tuple(result) if as_tuple else result

    def _mapping(self, value: Any, annotation: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self.fail(path, f"expected keys and values, got {show(value)}")
        keys_and_values = typing.get_args(annotation)
        item = keys_and_values[1] if keys_and_values else Any
        return {key: self.read_item(each, item, join(path, key)) for key, each in value.items()}

    def read_item(self, value: Any, annotation: Any, path: str) -> Any:
        """Read one value of a mapping."""
        return self.read(value, annotation, path)

    def _record(self, value: Any, annotation: type, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self.fail(path, f"expected keys and values ({annotation.__name__}), got {show(value)}")
        start = len(self.problems)
        kwargs = self.read_arguments(signature_of(annotation), value, path)
        if len(self.problems) > start:
            return None
        if issubclass(annotation, SourceClass):
            return kwargs
        try:
            return annotation(**kwargs)
        except (ValueError, ConfigError) as error:
            return self.fail(path, str(error))


def is_record(annotation: type) -> bool:
    """Whether a class is a dataclass, imported or read."""
    return annotation.is_record if issubclass(annotation, SourceClass) else dataclasses.is_dataclass(annotation)


def bare(annotation: Any) -> Any:
    """Strip what doesn't concern a value: ``Annotated[X, ...]`` and ``NewType``."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def describe(annotation: Any) -> str:
    """Name an annotation for a person."""
    annotation = bare(annotation)
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in typing.get_args(annotation))
    if origin is Literal:
        return " or ".join(map(repr, typing.get_args(annotation)))
    if annotation in (None, types.NoneType):
        return "null"
    if (origin or annotation) in (list, tuple, *SEQUENCES):
        return "a list"
    if (origin or annotation) in MAPPINGS:
        return "keys and values"
    if isinstance(annotation, type) and origin is None:
        return annotation.__name__
    return str(annotation).rpartition(".")[2] if origin is None else getattr(origin, "__name__", str(annotation))


def show(value: Any) -> str:
    """Show a value for a person: its type and, where it is short, itself."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "keys and values"
    return f"{type(value).__name__} {reprlib.repr(value)}"
