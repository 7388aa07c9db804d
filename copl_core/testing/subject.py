"""What a check is given: a class, a partial of one, or the name of an installed component."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from copl_core.config.signature import signature_of
from copl_core.plugins import get_table
from copl_core.registry import ComponentFactory, Registry

#: A class, ``functools.partial`` of one, or the name of an installed component as a config writes it.
Subject: TypeAlias = str | Callable[..., Any]


class Candidate:
    """The component under check, ready to be built with whatever the framework sets.

    Args:
        kind: Its kind.
        subject: What the check was given.
        own: The component's own arguments.

    Attributes:
        cls: Its class.
        title: For the report, e.g. ``mapper GatedMapper``.
        given: The arguments that it was given, as far as they can be seen.

    Raises:
        CoplError: A name is not installed, or the arguments are not those of its config.
        TypeError: The subject is something else.
    """

    def __init__(self, kind: str, subject: Subject, own: Mapping[str, Any]) -> None:
        if isinstance(subject, str):
            subject, own = Registry(get_table()).factory(kind, {"type": subject, **own}, path=subject), {}
        cls = class_of(subject)
        if cls is None:
            raise TypeError(f"expected a class, functools.partial of one, or the name of a {kind}, got {subject!r}")
        self.cls = cls
        self.title = f"{kind} {cls.__name__}"
        self.given = {**_arguments(subject), **own}
        self._make = functools.partial(subject, **own) if own else subject

    def build(self, **context: Any) -> Any:
        """Build the component; what its constructor doesn't take of the context is left out."""
        return call(self._make, **context)


def _arguments(factory: Callable[..., Any]) -> Mapping[str, Any]:
    """The arguments that a factory will pass on, as far as it says so."""
    if isinstance(factory, ComponentFactory):
        return {key: value for key, value in factory.config.items() if key != "type"}
    return factory.keywords if isinstance(factory, functools.partial) else {}


def class_of(factory: Callable[..., Any]) -> type | None:
    """The class that a factory makes an instance of, as far as it says so."""
    if isinstance(factory, ComponentFactory):
        return Registry(get_table()).resolve_component(factory.component)
    made = factory.func if isinstance(factory, functools.partial) else factory
    return made if isinstance(made, type) else None


def call(factory: Callable[..., Any], **context: Any) -> Any:
    """Call a factory; what the constructor behind it doesn't take of the context is left out."""
    cls = class_of(factory)
    if cls is None:
        return factory(**context)
    accepted = signature_of(cls).arguments
    return factory(**{name: value for name, value in context.items() if name in accepted})
