"""Reading a config file with its bases and the command line's changes, and writing a config."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from copl_core.config.compose import compose, packaged
from copl_core.config.options import override
from copl_core.config.origins import Origin, nearest
from copl_core.config.strict_yaml import dump_yaml
from copl_core.config.values import Problem
from copl_core.plugins import ComponentTable


class Config(dict[str, Any]):
    """A composed config: plain data (lists for tuples, too) that knows where each value comes from.

    Args:
        values: The data.
        origins: By path.
        problems: Where its files contradict each other, and what is wrong with the options; ``check_config`` tells it
            with everything else.
    """

    def __init__(
        self, values: Mapping[str, Any], origins: Mapping[str, Origin], problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(values)
        self.origins = origins
        self.problems = tuple(problems)

    def origin(self, path: str) -> Origin | None:
        """Where the value at a path, or the block it is missing from, was written; None for the top level."""
        found: Origin | None = nearest(self.origins, path)
        return found


def load_config(
    path: str | os.PathLike[str], options: Sequence[str] = (), *, table: ComponentTable | None = None
) -> Config:
    """Read a ``.py`` or ``.yaml`` config; the same experiment in either gives the same dict.

    A ``.py`` config is a program and runs as one; a ``.yaml`` config is data, as are its bases, and runs nothing.

    Args:
        path: The file, or ``<name>::<file>`` for one in a plugin's package.
        options: Changes, ``path=value`` each, see ``copl_core.config.options``.
        table: Where ``<name>::<file>`` is looked up, also of a base; the table of this process by default.

    Returns:
        The config, with what is wrong with it so far in its ``problems``.

    Raises:
        ConfigError: A file is missing or can't be read; the message names it and, where there is one, the line.
    """
    name = os.fspath(path)
    file = packaged(name, name, table) if "::" in name else Path(name).expanduser()
    layer, problems = override(compose(file, table), options)
    return Config(layer.values, layer.origins, [*layer.problems, *problems])


def dump_config(config: Mapping[str, Any]) -> str:
    """Return a config as YAML text, keys in the order given; reading it gives an equal dict."""
    return dump_yaml(dict(config))
