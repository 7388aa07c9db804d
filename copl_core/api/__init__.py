"""What a plugin's entry module imports. No torch here, and none may come in through it."""

from copl_core.api.errors import ConfigError, CoplError, DataError, PluginError, WeightsError
from copl_core.api.hookspecs import API_VERSION, GROUP, PROJECT, hookimpl, hookspec
from copl_core.api.spec import KINDS, ComponentSpec, ConfigRoot

__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "PROJECT",
    "ComponentSpec",
    "ConfigError",
    "ConfigRoot",
    "CoplError",
    "DataError",
    "PluginError",
    "WeightsError",
    "hookimpl",
    "hookspec",
]
