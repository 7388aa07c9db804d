"""Exports of untrained models, made in a moment."""

from pathlib import Path

from copl_core.config import check_config, load_config
from copl_core.engine.build import Session, build_session
from copl_core.engine.export import export_session
from copl_core.plugins import get_table
from copl_core.registry import Registry

ROOT = Path(__file__).parent.parent


def export_untrained(folder: Path, config: str, *options: str, split: str = "test") -> Session:
    """Export the model of a demo config as it is initialised; returns it with a split of its data set."""
    registry = Registry(get_table())
    experiment = check_config(load_config(ROOT / "configs" / "demo" / config, options), registry, config)
    session = build_session(experiment, registry, (split,))
    session.model.eval()
    export_session(folder, session, {})
    return session
