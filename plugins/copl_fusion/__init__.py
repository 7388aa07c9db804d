"""Mappers F between the modalities (Eq. 8)."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec("mapper", "bottleneck", "copl_fusion.mappers:Bottleneck", "Linear, ReLU, Linear through r units"),
        ComponentSpec("mapper", "linear", "copl_fusion.mappers:LinearMap", "One linear layer"),
    ]
