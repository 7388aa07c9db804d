"""The built-in demo: generated audio-visual scenes in the official layouts, and a nano encoder with its weights."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec(
            "backbone", "swin_nano", "copl_synth.encoders:SwinNano", "A 96-px Swin-V2 with shipped weights, for demos"
        ),
        ComponentSpec("generator", "ave", "copl_synth.generators:SynthAve", "scenes in the form of AVE"),
        ComponentSpec("generator", "avs_s4", "copl_synth.generators:SynthAvs", "scenes in the form of AVSBench S4"),
        ComponentSpec("generator", "avs", "copl_synth.generators:SynthAvs", "the same, by its shorter name"),
        ComponentSpec("generator", "avqa", "copl_synth.generators:SynthAvqa", "scenes in the form of MUSIC-AVQA"),
    ]
