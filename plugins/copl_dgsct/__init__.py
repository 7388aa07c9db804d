"""DG-SCT as a tuner: adapters with channel and spatial attention that the other modality guides."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec("tuner", "dgsct", "copl_dgsct.tuner:DGSCT", "Dual-guided adapters (DG-SCT, NeurIPS 2023)"),
    ]
