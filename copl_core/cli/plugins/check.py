"""copl plugins check: run the conformance kit on every component of a package.

Arguments come from experiments: those given by --config or else those that the package brings, which are checked, too
(the config folders that it registers and, in a project folder, configs/). What no experiment uses is checked with its
defaults.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from copl_core.config import Config
    from copl_core.plugins import Component, ComponentTable
    from copl_core.registry import Registry

State = Literal["ok", "wrong", "unchecked"]
#: A task and its parts are checked together, on the data of an experiment.
_OF_A_TASK = ("task", "dataset", "head", "metric", "renderer")


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the action."""
    parser = subparsers.add_parser("check", help="run the conformance kit on a package", description=__doc__)
    parser.add_argument("package", metavar="DIST|PATH", help="an installed distribution or plugin, or a project folder")
    parser.add_argument(
        "--config", type=Path, nargs="+", action="extend", metavar="FILE", help="experiments that use its components"
    )
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Verdict:
    """What a check said: ``ok``, ``wrong``, or ``unchecked`` where it could not be run, with the reason."""

    state: State
    reason: str = ""


def run(options: argparse.Namespace) -> int:
    """Check and print; exit code 1 unless every component was checked and keeps its contract."""
    from copl_core.config import load_config
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    with _package(options.package) as (name, folder):
        registry = Registry(get_table())
        components = _components(name, registry.table)
        results = list(_heavy(name, registry.table))
        verdicts = _not_importable(components, registry)
        if not verdicts:
            if options.config:
                configs = {path: load_config(path, table=registry.table) for path in options.config}
                experiments = [_Experiment(config, path, registry) for path, config in configs.items()]
            else:
                experiments, wrong = _experiments(components, folder, registry)
                results += wrong
            verdicts = [_check(component, experiments, registry) for component in components]
    titles = [f"{component.kind} {component.qualified}" for component in components]
    _print(name, [*results, *zip(titles, verdicts, strict=True)])
    return 0 if all(verdict.state == "ok" for verdict in [*verdicts, *(verdict for _, verdict in results)]) else 1


def _print(name: str, results: Sequence[tuple[str, Verdict]]) -> None:
    told = ""
    for title, verdict in results:
        print(f"{verdict.state:9}  {title}")
        # The parts of a task share their verdict.
        if verdict.reason and verdict.reason != told:
            told = verdict.reason
            print("  " + told.replace("\n", "\n  "))
    counts = [f"{sum(verdict.state == state for _, verdict in results)} {state}" for state in get_args(State)]
    print(f"\n{name}: {', '.join(counts)}")


@contextmanager
def _package(text: str) -> Iterator[tuple[str, Path | None]]:
    """The name of the distribution or plugin, visible to discovery, and its project folder, if it is one."""
    from copl_core.plugins.project import seen_as_installed

    folder = Path(text)
    # In a project's own folder lies one with the name of its plugin.
    is_name = text.isidentifier() and not (folder / "pyproject.toml").exists()
    if not folder.is_dir() or is_name:
        yield text, None
        return
    with seen_as_installed(folder) as distribution:
        yield distribution, folder


def _experiments(
    components: Sequence["Component"], folder: Path | None, registry: "Registry"
) -> "tuple[list[_Experiment], list[tuple[str, Verdict]]]":
    """The experiments that a package brings, and a verdict on each config that is none."""
    from copl_core.api import CoplError
    from copl_core.config import load_config
    from copl_core.config.schema import TOP

    found: list[_Experiment] = []
    wrong: list[tuple[str, Verdict]] = []
    plugins = {component.plugin for component in components}
    folders = [each.path() for each in registry.table.configs() if each.plugin in plugins]
    for place in filter(None, [folder and folder / "configs", *folders]):
        for path in sorted(each for each in place.glob("*") if each.suffix in (".py", ".yaml", ".yml")):
            try:
                config = load_config(path, table=registry.table)
                # Something else may lie beside configs, such as published figures.
                if not config.keys().isdisjoint(TOP):
                    found.append(_Experiment(config, path, registry))
            except CoplError as error:
                wrong.append((f"config {path}", Verdict("wrong", str(error))))
    return found, wrong


def _heavy(name: str, table: "ComponentTable") -> Iterator[tuple[str, Verdict]]:
    """A verdict on each plugin of a package that imports torch to say what it provides."""
    from copl_core.plugins.gate import LOAD, STRICT
    from copl_core.plugins.load import HEAVY

    code = f"import sys; from copl_core.plugins import get_table; get_table(); sys.exit({HEAVY!r} in sys.modules)"
    for status in table.statuses:
        if name not in (status.name, status.distribution):
            continue
        # In a process of its own, where nothing else has imported it before.
        variables = {**os.environ, LOAD: status.name, STRICT: "0", "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, check=False)
        if done.returncode:
            reason = f"its entry module imports {HEAVY}, which makes every command slow: name classes as strings there"
            yield f"plugin {status.name}", Verdict("wrong", reason)


def _components(name: str, table: "ComponentTable") -> Sequence["Component"]:
    """The components of a distribution or a plugin.

    Raises:
        PluginError: There is none of that name, or it is not loaded.
    """
    from copl_core.api import PluginError
    from copl_core.plugins.suggest import did_you_mean

    statuses = [status for status in table.statuses if name in (status.name, status.distribution)]
    if not statuses:
        known = {each for status in table.statuses for each in (status.name, status.distribution)}
        raise PluginError(f"no plugin and no distribution with plugins named {name!r}{did_you_mean(name, known)}")
    for status in statuses:
        if status.state != "loaded":
            raise PluginError(f"plugin {status.name!r} is not loaded: {status.error}")
    return [each for each in table.components() if name in (each.plugin, each.distribution)]


def _not_importable(components: Sequence["Component"], registry: "Registry") -> list[Verdict]:
    """A verdict each if some of them can't be imported; nothing if all can."""
    from copl_core.api import PluginError

    errors: dict[Component, str] = {}
    for component in components:
        try:
            registry.resolve_component(component)
        except PluginError as error:
            errors[component] = str(error)
    if not errors:
        return []
    other = Verdict("unchecked", "first mend what can't be imported")
    return [Verdict("wrong", errors[each]) if each in errors else other for each in components]


class _Experiment:
    """A config and the blocks that its components are made from.

    Args:
        config: The config.
        path: Its file.
        registry: Resolves its components.

    Raises:
        ConfigError: It is no right config.
    """

    def __init__(self, config: "Config", path: Path, registry: "Registry") -> None:
        from copl_core.config import check_model

        blocks = check_model(config, registry, str(path))
        named = {"encoders.visual": ("backbone", blocks.visual), "encoders.audio": ("backbone", blocks.audio)}
        named |= {"tuner": ("tuner", blocks.tuner), "task": ("task", blocks.task)}
        self._registry = registry
        self._task = blocks.task
        self._verdict: Verdict | None = None
        self._blocks: dict[Component, Mapping[str, Any]] = {}
        for root, (kind, block) in named.items():
            if block is not None:
                for place, component in registry.factory(kind, block, path=root).components().items():
                    self._blocks.setdefault(component, _at(config, place))

    def block(self, component: "Component") -> Mapping[str, Any] | None:
        """The block of a component, None if the experiment doesn't use it."""
        return self._blocks.get(component)

    def check_task(self) -> Verdict:
        """Check the task with all its parts, once."""
        if self._verdict is None:
            self._verdict = _verdict(self._check_task)
        return self._verdict

    def _check_task(self) -> None:
        from copl_core.testing import check_component

        assert self._task is not None
        # Missing data is no fault of the package.
        self._registry.build("dataset", self._task["dataset"], path="task.dataset", split="train")
        check_component("task", self._task["type"], **_arguments(self._task))


def _at(config: Any, place: str) -> Mapping[str, Any]:
    """The block at a path."""
    for key in place.split("."):
        config = config[int(key)] if isinstance(config, list) else config[key]
    block: Mapping[str, Any] = config
    return block


def _check(component: "Component", experiments: Sequence[_Experiment], registry: "Registry") -> Verdict:
    """Run the check of a component's kind, with the arguments of the first experiment that uses it."""
    from copl_core.testing import check_component

    used = next((experiment for experiment in experiments if experiment.block(component) is not None), None)
    if component.kind in _OF_A_TASK:
        if used is None:
            return Verdict("unchecked", "needs data: name an experiment whose task uses it by --config")
        return used.check_task()
    block = used.block(component) if used else None
    needed = [name for name, each in registry.signature(component).settable.items() if each.required]
    if block is None and needed:
        return Verdict("unchecked", f"needs {', '.join(needed)}: name an experiment that uses it by --config")
    return _verdict(lambda: check_component(component.kind, component.qualified, **_arguments(block or {})))


def _verdict(check: Callable[[], None]) -> Verdict:
    from copl_core.api import CoplError
    from copl_core.testing import ConformanceError

    try:
        check()
    except ConformanceError as error:
        return Verdict("wrong", str(error))
    except CoplError as error:
        return Verdict("unchecked", str(error))
    return Verdict("ok")


def _arguments(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "type"}
