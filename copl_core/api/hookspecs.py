"""The hooks a plugin may implement. All are optional but ``copl_components``; later versions only add arguments."""

from collections.abc import Iterable

import pluggy

from copl_core.api.spec import ComponentSpec, ConfigRoot

PROJECT = "copl"
GROUP = "copl.plugins"
API_VERSION = 1

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def copl_components() -> Iterable[ComponentSpec]:  # type: ignore[empty-body]
    """Name the components this plugin provides. Must not import torch."""


@hookspec
def copl_configs() -> Iterable[ConfigRoot]:  # type: ignore[empty-body]
    """Name packaged config folders, reachable as ``_base_: <name>::<file>``."""


@hookspec
def copl_api_version() -> tuple[int, int]:  # type: ignore[empty-body]
    """Oldest and newest plugin API this plugin was tested with; absent means (1, 1)."""
