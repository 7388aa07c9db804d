"""The built-in demo: generated audio-visual scenes in the official layouts, and a nano encoder with its weights."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec(
            "backbone", "swin_nano", "copl_synth.encoders:SwinNano", "A 96-px Swin-V2 with shipped weights, for demos"
        ),
    ]
