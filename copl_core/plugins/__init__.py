"""Plugins: found through entry points, checked, and put into one table. Imports no torch."""

from copl_core.plugins.discovery import discover, get_table, reset_table
from copl_core.plugins.table import Component, ComponentTable, PackagedConfigs, PluginStatus

__all__ = [
    "Component",
    "ComponentTable",
    "PackagedConfigs",
    "PluginStatus",
    "discover",
    "get_table",
    "reset_table",
]
