"""What the environment lets in.

COPL_DISABLE_PLUGINS  ids, comma-separated: these are not even imported
COPL_LOAD_PLUGINS     ids: of third-party plugins only these are imported; empty: none
COPL_STRICT_PLUGINS   1: a broken plugin raises, with its traceback (for plugin authors and CI)
"""

import os
from collections.abc import Collection
from dataclasses import dataclass

from copl_core.api import PluginError
from copl_core.plugins.suggest import did_you_mean

DISABLE, LOAD, STRICT = "COPL_DISABLE_PLUGINS", "COPL_LOAD_PLUGINS", "COPL_STRICT_PLUGINS"
_ON, _OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Gate:
    """The three variables.

    Attributes:
        disabled: Ids that are kept out.
        allowed: The only third-party ids that are let in; None lets all in.
        strict: Whether a broken plugin raises.
    """

    disabled: frozenset[str]
    allowed: frozenset[str] | None
    strict: bool

    @classmethod
    def from_environment(cls) -> "Gate":
        """Read them.

        Raises:
            PluginError: One of them can't be understood.
        """
        allowed = os.environ.get(LOAD)
        return cls(
            disabled=_ids(os.environ.get(DISABLE, "")),
            allowed=None if allowed is None else _ids(allowed),
            strict=_switch(STRICT),
        )

    def reason(self, plugin: str, *, third_party: bool) -> str:
        """Why a plugin is kept out; empty if it is let in."""
        if plugin in self.disabled:
            return f"disabled by {DISABLE}"
        if self.allowed is not None and third_party and plugin not in self.allowed:
            return f"not named in {LOAD}"
        return ""

    def unknown(self, plugins: Collection[str]) -> list[str]:
        """One line for each id in the environment that no plugin has."""
        lines = []
        for variable, ids in ((DISABLE, self.disabled), (LOAD, self.allowed or ())):
            lines += [f"{variable}: no plugin {id!r}{did_you_mean(id, plugins)}" for id in sorted({*ids} - {*plugins})]
        return lines


def _ids(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _switch(variable: str) -> bool:
    value = os.environ.get(variable, "").strip().lower()
    if value not in (*_ON, *_OFF):
        raise PluginError(f"{variable} is {value!r}: expected 1 or 0")
    return value in _ON
