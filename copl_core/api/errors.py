"""Errors a user can act on.

Each message says what is wrong, where, and what to do. The command line prints it without a traceback and exits
with code 2; every other exception is a defect of the program and keeps its traceback.
"""


class CoplError(Exception):
    """Base of all errors caused by input: a config, a data set, a weights file, a plugin."""


class ConfigError(CoplError):
    """A configuration can't be used."""


class DataError(CoplError):
    """A data set is missing, incomplete or unreadable."""


class WeightsError(CoplError):
    """Encoder weights or trained prompts can't be loaded."""


class PluginError(CoplError):
    """A component is unknown, ambiguous, or its plugin could not be loaded."""
