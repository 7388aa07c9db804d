"""LAVISH as a tuner: adapters beside both branches of every pair of blocks."""

from collections.abc import Iterable

from copl_core.api import ComponentSpec, hookimpl


@hookimpl
def copl_components() -> Iterable[ComponentSpec]:
    return [
        ComponentSpec("tuner", "lavish", "copl_lavish.tuner:LAVISH", "Latent-token adapters (LAVISH, CVPR 2023)"),
    ]
