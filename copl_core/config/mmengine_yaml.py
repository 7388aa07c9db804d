"""The rules of ``strict_yaml`` for whatever reads YAML through MMEngine, whose own reader executes tags.

Importing this module sets that. Apart from it, reading YAML configs needs no MMEngine, whose import takes longer.
"""

from collections.abc import Iterable
from typing import IO, Any

from mmengine.fileio import BaseFileHandler, register_handler

from copl_core.config.strict_yaml import dump_yaml, parse_mapping


@register_handler(["yaml", "yml"])
class StrictYamlHandler(BaseFileHandler):  # type: ignore[misc]
    """Reader and writer of ``mmengine.fileio`` and ``mmengine.Config``."""

    def load_from_fileobj(self, file: IO[str] | Iterable[str], **_: Any) -> dict[str, Any]:
        """Read an open file."""
        return parse_mapping("".join(file), str(getattr(file, "name", "<yaml>")))

    def dump_to_fileobj(self, obj: Any, file: IO[str], **_: Any) -> None:
        """Write to an open file."""
        file.write(dump_yaml(obj))

    def dump_to_str(self, obj: Any, **_: Any) -> str:
        """Return the text."""
        return dump_yaml(obj)
