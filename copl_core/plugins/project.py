"""A plugin's project folder, seen as if it were installed."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from copl_core.api import GROUP, PluginError
from copl_core.plugins.discovery import reset_table
from copl_core.plugins.gate import LOAD

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@contextmanager
def seen_as_installed(folder: Path) -> Iterator[str]:
    """Within it, discovery finds the plugins of a project folder, whether or not (and from wherever) it is installed.

    ``COPL_LOAD_PLUGINS`` does not keep them out, ``COPL_DISABLE_PLUGINS`` does.
    Modules of the project that are imported meanwhile stay imported.

    Args:
        folder: Holds ``pyproject.toml``; packages lie in it or in its ``src``.

    Yields:
        The name of the distribution.

    Raises:
        PluginError: The folder is no project with an entry point for plugins.
    """
    project = _read_project(folder)
    points = project["entry-points"][GROUP]
    with tempfile.TemporaryDirectory() as site:
        info = Path(site) / f"{project['name'].replace('-', '_')}-0.dist-info"
        info.mkdir()
        requires = [f"Requires-Dist: {line}" for line in project.get("dependencies", ())]
        version = project.get("version", "0")
        metadata = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {version}", *requires]
        (info / "METADATA").write_text("\n".join(metadata) + "\n", encoding="utf-8")
        lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        # First, so that they win over an installed copy.
        paths = [site, *(str(path) for path in (folder.resolve() / "src", folder.resolve()) if path.is_dir())]
        sys.path[:0] = paths
        reset_table()
        try:
            with _let_in(points):
                yield project["name"]
        finally:
            for path in paths:
                sys.path.remove(path)
            reset_table()


@contextmanager
def _let_in(plugins: Iterable[str]) -> Iterator[None]:
    """Name plugins in the list of those to load, if there is one: a person has asked for this very folder."""
    before = os.environ.get(LOAD)
    if before is None:
        yield
        return
    os.environ[LOAD] = ",".join([before, *plugins])
    try:
        yield
    finally:
        os.environ[LOAD] = before


def _read_project(folder: Path) -> Mapping[str, Any]:
    """The table ``project`` of a folder's ``pyproject.toml``, which names the distribution and at least one plugin."""
    path = folder / "pyproject.toml"
    try:
        project: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except OSError as error:
        raise PluginError(f"{folder} is no project folder: cannot read {path.name} ({error.strerror})") from error
    except ValueError as error:
        raise PluginError(f"cannot read {path}: {error}") from error
    if "name" not in project or not project.get("entry-points", {}).get(GROUP):
        raise PluginError(f'{path} must have [project] with a name, and [project.entry-points."{GROUP}"]')
    return project
