"""The entry points of everything that is installed."""

from collections.abc import Sequence
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points

from packaging.utils import canonicalize_name

from copl_core.api import GROUP


def installed_points() -> tuple[Sequence[EntryPoint], list[str]]:
    """Return the entry points of all plugins, and a line for each distribution whose own can't be read."""
    try:
        return entry_points(group=GROUP), []
    # One damaged distribution, of whatever kind, spoils the call for all. Asking each alone takes longer.
    except Exception:
        return _one_by_one()


def _one_by_one() -> tuple[list[EntryPoint], list[str]]:
    points: list[EntryPoint] = []
    unreadable: list[str] = []
    seen: set[str] = set()
    for distribution in distributions():
        name = name_and_version(distribution)[0]
        # What comes first on Python's path hides the rest, as in ``entry_points``.
        if canonicalize_name(name) in seen:
            continue
        seen.add(canonicalize_name(name))
        try:
            points += distribution.entry_points.select(group=GROUP)
        except Exception as error:
            unreadable.append(
                f"distribution {name!r} has a damaged entry_points.txt ({type(error).__name__}: {error}); "
                "its plugins, if any, are not loaded: install it again"
            )
    return points, unreadable


def name_and_version(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution; ``unknown`` where its metadata doesn't tell."""
    try:
        # Both are None where an uninstallation left half of the metadata behind.
        return (distribution and distribution.name) or "unknown", (distribution and distribution.version) or "unknown"
    except Exception:  # the metadata are damaged
        return "unknown", "unknown"
