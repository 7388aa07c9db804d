"""Reading a config file with its bases and the command line's changes, and writing a config."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from copl_core.config.compose import compose
from copl_core.config.options import apply_options
from copl_core.config.strict_yaml import dump_yaml
from copl_core.plugins import ComponentTable


def load_config(
    path: str | os.PathLike[str], options: Sequence[str] = (), *, table: ComponentTable | None = None
) -> dict[str, Any]:
    """Read a ``.py`` or ``.yaml`` config; the same experiment in either gives the same dict.

    A ``.py`` config is a program and runs as one; a ``.yaml`` config is data and can't run anything.

    Args:
        path: The file.
        options: Changes, ``path=value`` each, see ``copl_core.config.options``.
        table: Where a base ``<name>::<file>`` is looked up; the table of this process by default.

    Returns:
        Plain data: dicts, lists (for tuples too), strings, numbers, booleans, None.

    Raises:
        ConfigError: A file or an option is wrong; the message names the file and, where there is one, the line.
    """
    return apply_options(compose(Path(path).expanduser(), table), options)


def dump_config(config: Mapping[str, Any]) -> str:
    """Return a config as YAML text, keys in the order given; reading it gives an equal dict."""
    return dump_yaml(dict(config))
