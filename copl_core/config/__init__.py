"""Configs: read strictly, composed, checked against what the components take. Imports no torch."""

from copl_core.config.load import dump_config, load_config
from copl_core.config.schema import SHARED, Experiment, Schedule, check_config
from copl_core.config.values import Problem

__all__ = ["SHARED", "Experiment", "Problem", "Schedule", "check_config", "dump_config", "load_config"]
