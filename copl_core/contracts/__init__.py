"""What a plugin's components derive from. With ``copl_core.api`` this is the whole public surface for authors.

Shape legend, used throughout:

====  =========================================================================
B     clips in a batch
T     frames of a clip; one audio segment goes with one frame
BT    B * T, clip-major: item ``b * T + t`` is frame t of clip b
N     tokens of one frame at the current block
P     prompt tokens
d     width of a block; d_v visual, d_a audio
H, W  height, width in pixels or grid cells
====  =========================================================================
"""

from copl_core.contracts.backbone import Backbone, Block, FeatureLayout, Features
from copl_core.contracts.factory import Factory
from copl_core.contracts.inputs import AudioSpec, ImageSpec, InputSpec, SpectrogramSpec, WaveformSpec
from copl_core.contracts.loss import Loss
from copl_core.contracts.prompt import Bank, Mapper, Prompt
from copl_core.contracts.task import Batch, Dataset, Head, Metric, Predictions, Renderer, Sample, Task
from copl_core.contracts.tuner import Layout, Pair, PairLayout, Tuner

__all__ = [
    "AudioSpec",
    "Backbone",
    "Bank",
    "Batch",
    "Block",
    "Dataset",
    "Factory",
    "FeatureLayout",
    "Features",
    "Head",
    "ImageSpec",
    "InputSpec",
    "Layout",
    "Loss",
    "Mapper",
    "Metric",
    "Pair",
    "PairLayout",
    "Predictions",
    "Prompt",
    "Renderer",
    "Sample",
    "SpectrogramSpec",
    "Task",
    "Tuner",
    "WaveformSpec",
]
