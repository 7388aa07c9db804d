"""Fake plugins: a ``*.dist-info`` and a module each, written where the test runs. Nothing is installed."""

import itertools
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest

from plugin_packages import add_distribution

_COUNTER = itertools.count()

HEADER = "from copl_core.api import ComponentSpec, ConfigRoot, hookimpl\n"
ONE_BACKBONE = """
@hookimpl
def copl_components():
    return [ComponentSpec("backbone", "{name}", "{name}_model:Model")]
"""


class Site:
    """A folder that holds distributions as site-packages does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._points: dict[str, dict[str, str]] = {}

    def add(
        self,
        plugin: str,
        code: str | None,
        *,
        distribution: str | None = None,
        version: str = "1.0",
        requires: str = "",
    ) -> str:
        """Add a distribution with one plugin; returns the name of its module. No code: the module is missing."""
        distribution = distribution or plugin
        module = f"fake_{next(_COUNTER)}_{plugin.lower().replace('-', '_')}"
        if code is not None:
            (self.folder / f"{module}.py").write_text(HEADER + code)
        points = self._points.setdefault(distribution, {})
        points[plugin] = module
        add_distribution(self.folder, distribution, points, version=version, requires=[requires] if requires else [])
        return module

    def points(self) -> list[EntryPoint]:
        """The entry points of all distributions here."""
        return [
            point
            for distribution in distributions(path=[str(self.folder)])
            for point in distribution.entry_points
            if point.group == "copl.plugins"
        ]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for variable in ("COPL_DISABLE_PLUGINS", "COPL_LOAD_PLUGINS", "COPL_STRICT_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("fake_"):
            del sys.modules[name]


@pytest.fixture
def backbone() -> Callable[[str], str]:
    """Code of a plugin that provides one backbone of the given name."""
    return lambda name: ONE_BACKBONE.replace("{name}", name)
