"""The trained models of a page, by the names they are chosen by."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from copl_core.api import ConfigError
from copl_core.checkpoint import Header
from copl_core.engine.predict import TrainedModel, load_all


def load_models(paths: Sequence[Path], *, device: str, options: Sequence[str]) -> dict[str, TrainedModel]:
    """Load exports by names; those with the same frozen encoders share them.

    Raises:
        CoplError: One can't be used, or is given twice.
    """
    twice = [path for index, path in enumerate(paths) if path.resolve() in {each.resolve() for each in paths[:index]}]
    if twice:
        raise ConfigError(f"given twice: {', '.join(map(str, twice))}")
    models = load_all(paths, device=device, options=options)
    return {_name(path, model.header): model for path, model in zip(paths, models, strict=True)}


def describe(header: Header) -> str:
    """What a person should know of a model, in a line."""
    encoders = {role: _identity(encoder.get("identity", {})) for role, encoder in header.encoders.items()}
    visual, audio = encoders.get("visual", "unnamed"), encoders.get("audio")
    ears = f"encoder {visual} for sight and sound" if audio is None else f"encoders {visual} and {audio}"
    return f"{ears}; tuner {header.model['tuner'].get('type')}"


def _name(path: Path, header: Header) -> str:
    return f"{header.model['task'].get('type')}: {path}"


def _identity(identity: Mapping[str, object]) -> str:
    """An encoder's name: its architecture, where the backbone tells it."""
    return str(identity.get("architecture", "unnamed"))
