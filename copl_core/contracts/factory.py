"""How a component receives the parts it is made of."""

from typing import Any, Protocol, TypeVar

Part = TypeVar("Part", covariant=True)


class Factory(Protocol[Part]):
    """Makes one part, e.g. ``Factory[Bank]`` makes a bank for the width it is called with.

    A component that is built of other components takes factories: the composer fills them from the nested part of
    the config, a unit test passes ``functools.partial(PromptBank, size=10)``. No component reaches for a registry.
    """

    def __call__(self, **context: Any) -> Part:
        """Build the part; the context names are listed in the contract of the part (its ``context``)."""
        ...
