"""The two-stream model: two frozen encoders walked in lockstep, a tuner between their layers, a head on top."""

from copl_core.model.pairing import pair_blocks
from copl_core.model.roles import input_specs
from copl_core.model.two_stream import Output, TwoStream

__all__ = ["Output", "TwoStream", "input_specs", "pair_blocks"]
