"""Third-party packages for tests: written from the pages of docs/plugins, seen by Python without being installed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from copl_core.cli.main import main

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "docs" / "plugins").glob("*.md") if path.stem != "index")


@dataclass(frozen=True)
class Tutorial:
    """What a page tells its reader to do.

    Attributes:
        command: Arguments of ``copl``, which write a package.
        files: Files of it to replace, by name.
        excerpts: What other files of it are said to hold, (name, text).
        config: YAML to lay over another config.
    """

    command: Sequence[str]
    files: Mapping[str, str]
    excerpts: Sequence[tuple[str, str]]
    config: str

    @property
    def distribution(self) -> str:
        return f"copl-{self.command[2]}".replace("_", "-")


def read_tutorial(page: Path) -> Tutorial:
    text = page.read_text(encoding="utf-8")
    (command,) = re.findall(r"^copl (plugins new .*)$", text, re.MULTILINE)
    (config,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return Tutorial(
        command=command.split(),
        files=dict(re.findall(r"^`([\w./]+)`:\n\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)),
        excerpts=re.findall(r"^`([\w./]+)` has:\n\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL),
        config=config,
    )


def follow(tutorial: Tutorial, folder: Path) -> Path:
    """Do what a page says; returns the package's folder, in ``folder``."""
    package = folder / tutorial.distribution
    assert main([*tutorial.command, "--folder", str(package)]) == 0
    for name, text in tutorial.files.items():
        # A page replaces what is there; a misspelt name would add a file that nobody reads.
        assert (package / name).is_file(), name
        (package / name).write_text(text, encoding="utf-8")
    return package


def install(package: Path, site: Path) -> None:
    """Put a package and its metadata where Python finds them, as pip would, in no time."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["copl.plugins"]
    for module in points.values():
        shutil.copytree(package / module, site / module)
    add_distribution(site, project["name"], points, version=project["version"])


def pip_install(*projects: Path, site: Path) -> Path:
    """Have pip install projects into a folder, from nothing but what is here; returns it."""
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    done = run_python(*pip, *map(str, projects))
    assert done.returncode == 0, done.stderr
    return site


def add_distribution(
    site: Path, name: str, points: Mapping[str, str], *, version: str = "1.0", requires: Sequence[str] = ()
) -> Path:
    """Write the metadata of an installed distribution, as site-packages holds it; returns their folder.

    Args:
        site: The folder that Python finds them in.
        name: Of the distribution.
        points: Modules by plugin id.
        version: Of the distribution.
        requires: What it needs.
    """
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
    lines = ["[copl.plugins]", *(f"{plugin} = {module}" for plugin, module in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return info


def plugins_in(paths: Sequence[Path]) -> list[str]:
    """Ids of the plugins whose metadata lie in some folders."""
    found = [point for each in distributions(path=[*map(str, paths)]) for point in each.entry_points]
    return sorted({point.name for point in found if point.group == "copl.plugins"})


def run_python(
    *arguments: str,
    paths: Sequence[Path] = (),
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python with ``paths`` before all others, as a user would who has installed what lies there and no more."""
    free = {name: value for name, value in os.environ.items() if not name.startswith("COPL_")}
    own = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "COPL_LOAD_PLUGINS": ",".join(plugins_in(paths))}
    environment = {**free, **own, "OMP_NUM_THREADS": "1", **(variables or {})}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def copl(
    *arguments: str,
    paths: Sequence[Path] = (),
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return run_python("-m", "copl_core", *arguments, paths=paths, cwd=cwd, variables=variables)
