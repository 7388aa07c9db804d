"""Auxiliary losses on the features of both modalities."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec(
            "loss", "consistency", "copl_losses.consistency:Consistency", "Mean squared distance of embeddings (Eq. 10)"
        ),
    ]
