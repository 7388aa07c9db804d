"""What a plugin's components derive from. With ``copl_core.api`` this is the whole public surface for authors.

Shape legend, used throughout:

| letters | mean |
|---|---|
| B | clips in a batch |
| T | frames of a clip; one audio segment goes with one frame |
| BT | B * T, clip-major: item ``b * T + t`` is frame t of clip b |
| N | tokens of one frame at the current block |
| P | prompt tokens |
| d | width of a block; d_v visual, d_a audio |
| H, W | height, width in pixels or grid cells |
"""

from copl_core.contracts.backbone import Backbone, Block, FeatureLayout, Features
from copl_core.contracts.contents import Contents, Count, Row
from copl_core.contracts.factory import Factory
from copl_core.contracts.frozen import FrozenTable
from copl_core.contracts.generator import Generator
from copl_core.contracts.inputs import AudioSpec, ImageSpec, InputSpec, Modality, SpectrogramSpec, WaveformSpec
from copl_core.contracts.loss import Loss
from copl_core.contracts.prompt import Bank, Mapper, Prompt
from copl_core.contracts.recompute import StepMemory, hidden_layer, step_memory
from copl_core.contracts.task import (
    Batch,
    Breakdown,
    Dataset,
    Finding,
    Head,
    Metric,
    Names,
    Prediction,
    Predictions,
    Predictor,
    Renderer,
    Run,
    Sample,
    Task,
)
from copl_core.contracts.tuner import Layout, Pair, PairLayout, Tuner
from copl_core.contracts.weights import load_exactly, load_published, read_weights, weights_source

__all__ = [
    "AudioSpec",
    "Backbone",
    "Bank",
    "Batch",
    "Block",
    "Breakdown",
    "Contents",
    "Count",
    "Dataset",
    "Factory",
    "FeatureLayout",
    "Features",
    "Finding",
    "FrozenTable",
    "Generator",
    "Head",
    "ImageSpec",
    "InputSpec",
    "Layout",
    "Loss",
    "Mapper",
    "Metric",
    "Modality",
    "Names",
    "Pair",
    "PairLayout",
    "Prediction",
    "Predictions",
    "Predictor",
    "Prompt",
    "Renderer",
    "Row",
    "Run",
    "Sample",
    "SpectrogramSpec",
    "StepMemory",
    "Task",
    "Tuner",
    "WaveformSpec",
    "hidden_layer",
    "load_exactly",
    "load_published",
    "read_weights",
    "step_memory",
    "weights_source",
]
