"""HTS-AT, the hierarchical token-semantic audio transformer, as an audio encoder."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec("backbone", "htsat", "copl_htsat.backbone:HTSAT", "HTS-AT from its official checkpoints"),
    ]
