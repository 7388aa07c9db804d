"""What a plugin declares: components by kind and name, as strings, so that declaring imports nothing heavy."""

from dataclasses import dataclass

KINDS = (
    "backbone",
    "tuner",
    "prompt",
    "bank",
    "mapper",
    "loss",
    "head",
    "dataset",
    "metric",
    "renderer",
    "task",
    "generator",
)


@dataclass(frozen=True)
class ComponentSpec:
    """One component of a plugin.

    Attributes:
        kind: One of ``KINDS``.
        name: Snake-case name a config uses in ``type:``, unique within the plugin and kind.
        target: ``"package.module:Class"``, imported on first use.
        summary: One line for listings.
    """

    kind: str
    name: str
    target: str
    summary: str = ""


@dataclass(frozen=True)
class ConfigRoot:
    """A folder of config files inside a package, reachable as ``_base_: <name>::<file>``.

    Attributes:
        name: Prefix before ``::``.
        package: Importable package whose directory holds the folder.
        folder: Path of the folder relative to the package.
    """

    name: str
    package: str
    folder: str = "configs"
