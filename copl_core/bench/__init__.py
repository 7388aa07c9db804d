"""What a tuner costs, in time and memory of a training step beside others on the same encoders; what data cost."""

from copl_core.bench.data import DataRow, build_dataset, measure_data
from copl_core.bench.measure import Row, measure
from copl_core.bench.probe import Probe, Setup
from copl_core.bench.setups import encoder_block, tuner_setup

__all__ = [
    "DataRow",
    "Probe",
    "Row",
    "Setup",
    "build_dataset",
    "encoder_block",
    "measure",
    "measure_data",
    "tuner_setup",
]
