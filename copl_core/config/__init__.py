"""Configs: read strictly, composed, checked against what the components take. Imports no torch."""

from copl_core.config.load import Config, dump_config, load_config
from copl_core.config.schema import (
    SHARED,
    Compute,
    Experiment,
    ModelBlocks,
    Schedule,
    check_config,
    check_model,
    usable,
)
from copl_core.config.values import Problem

__all__ = [
    "SHARED",
    "Compute",
    "Config",
    "Experiment",
    "ModelBlocks",
    "Problem",
    "Schedule",
    "check_config",
    "check_model",
    "dump_config",
    "load_config",
    "usable",
]
