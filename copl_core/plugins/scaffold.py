"""A new plugin package, written from the templates beside this module.

A template is a package that works; only its names stand for others. ``templates/common`` holds what the packages of all
kinds share, ``templates/<kind>`` the rest.
"""

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from copl_core.api import PluginError
from copl_core.plugins.table import ComponentTable
from copl_core.plugins.validate import check_name

TEMPLATES = Path(__file__).parent / "templates"
COMMON = "common"
EXPERIMENT = "template_plugin/configs/template_name.yaml"
#: Kinds that have a template; that of a task brings its data set, head, metric and renderer.
TEMPLATE_KINDS = ("backbone", "prompt", "bank", "mapper", "loss", "head", "task")


@dataclass(frozen=True)
class Names:
    """The names of a package and of its component.

    Attributes:
        component: ``gated``, what a config writes.
        kind: Its kind.
    """

    component: str
    kind: str

    @classmethod
    def of(cls, name: str, kind: str) -> "Names":
        """From what a person wrote: ``gated``, ``copl-gated`` or ``copl_gated``.

        Raises:
            PluginError: That is no name.
        """
        component = name.replace("-", "_").removeprefix("copl_")
        check_name(component, "name of a new component")
        return cls(component, kind)

    @property
    def plugin(self) -> str:
        """``copl_gated``: plugin id and package."""
        return f"copl_{self.component}"

    @property
    def distribution(self) -> str:
        """``copl-gated``."""
        return self.plugin.replace("_", "-")

    @property
    def class_name(self) -> str:
        """``Gated``."""
        return "".join(word.capitalize() for word in self.component.split("_"))

    def fill(self, text: str) -> str:
        """Put these names in the place of a template's."""
        for placeholder, name in (
            ("template_plugin", self.plugin),
            ("template-plugin", self.distribution),
            ("template_name", self.component),
            ("TemplateName", self.class_name),
            ("template_kind", self.kind),
        ):
            text = text.replace(placeholder, name)
        return text


def write_plugin(name: str, kind: str, table: ComponentTable, folder: Path | None = None) -> list[Path]:
    """Write a package with one working component of a kind, its test, an experiment and a README.

    Args:
        name: Of the component.
        kind: One of ``TEMPLATE_KINDS``.
        table: What is installed; its names are refused.
        folder: Where to; by default the name of the distribution, in the working directory.

    Returns:
        The files.

    Raises:
        PluginError: The name is taken or can't be used, or the folder can't be written or holds something.
    """
    names = Names.of(name, kind)
    files = {
        names.fill(str(path.relative_to(root))): path.read_text(encoding="utf-8")
        for root in (TEMPLATES / COMMON, TEMPLATES / kind)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(root).parts)
    }
    data = _data_command(files[names.fill(EXPERIMENT)])
    files = {name: text.replace("template_data", data) for name, text in files.items()}
    _refuse_taken(names, table)
    _refuse_words(names, files.values())
    folder = folder or Path(names.distribution)
    written = []
    try:
        if folder.exists() and any(folder.iterdir()):
            raise PluginError(f"{folder} is not empty; give another --folder, or move away what is there")
        for file, text in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(names.fill(text), encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise PluginError(f"cannot write the package to {folder}: {error}") from error
    return written


def _data_command(experiment: str) -> str:
    """What writes the data of a template's experiment; its first line says ``# <that> && copl train ...``."""
    return experiment.partition("\n")[0].removeprefix("# ").partition(" && ")[0]


def _refuse_taken(names: Names, table: ComponentTable) -> None:
    for component in table.components(names.kind):
        if component.name == names.component:
            raise PluginError(
                f"{names.kind} {names.component!r} exists already, in plugin {component.plugin!r} "
                f"({component.distribution} {component.version}); choose another name"
            )
    for status in table.statuses:
        if status.name == names.plugin:
            raise PluginError(
                f"plugin {names.plugin!r} is installed already ({status.distribution} {status.version}); "
                "choose another name"
            )
    spec = find_spec(names.plugin)
    # A mere folder of that name, which Python takes for a package without modules, has no origin.
    if spec is not None and spec.origin is not None:
        raise PluginError(f"package {names.plugin!r} exists already, {spec.origin}; choose another name")


def _refuse_words(names: Names, texts: Iterable[str]) -> None:
    """A class can't be named like a keyword, or like something that its own module uses."""
    word = names.class_name
    if keyword.iskeyword(word) or any(re.search(rf"\b{word}\b", text) for text in texts):
        raise PluginError(f"{names.component!r} would make a class {word!r}, a name with a meaning; choose another")
