"""From a trained model to prompts.safetensors and head.safetensors, and from a resume state to both."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copl_core
from copl_core.api import ConfigError, WeightsError
from copl_core.checkpoint import Header, check_components, save_trained
from copl_core.config import Experiment, check_config
from copl_core.config.options import apply_options
from copl_core.engine.build import Session, build_session
from copl_core.engine.resume import RESUME_FILE, read_latest, read_state
from copl_core.engine.settings import differences, portable, run_settings
from copl_core.engine.snapshot import check_encoders
from copl_core.registry import Registry

#: Blocks of a config that the model is made of.
MODEL_BLOCKS = ("encoders", "tuner", "task")


@dataclass(frozen=True)
class ExportResult:
    """What was exported.

    Attributes:
        prompts: The prompts file.
        head: The head file.
        epoch: Finished epochs of the state.
        step: Finished steps of the epoch after these.
        told: What is to be told of the state, if anything.
    """

    prompts: Path
    head: Path
    epoch: int
    step: int
    told: str


def export_session(folder: Path, session: Session, scores: dict[str, float]) -> tuple[Path, Path]:
    """Write the present prompts and head of a session.

    Args:
        folder: Made if missing.
        session: What is trained.
        scores: Validation scores of this state; empty where it was not validated.

    Returns:
        Paths of the prompts file and of the head file.
    """
    experiment = session.experiment
    header = Header(
        encoders=session.encoders,
        model=portable_model(experiment),
        components={path: dataclasses.asdict(component) for path, component in session.components.items()},
        scores=scores,
        seed=experiment.seed,
        protocol=experiment.protocol,
        copl_version=copl_core.__version__,
        names=session.model.names,
    )
    return save_trained(folder, session.model, header)


def export_state(path: Path, out: Path, registry: Registry, options: Sequence[str] = ()) -> ExportResult:
    """Export what a resume state holds: the last saved step, which need not be the best epoch.

    Builds the model of the state's own config, which says where data set and encoder weights are.

    Args:
        path: The resume state or the work dir that holds it.
        out: Folder for both files.
        registry: Resolves the components.
        options: Changes to the config, ``path=value`` each: where things are now.

    Raises:
        CoplError: The state can't be read, or its config, data or weights can't be used any more.
    """
    state, told = read_latest(path) if path.is_dir() else (_read_file(path), "")
    if state is None:
        raise WeightsError(f"no resume state at {path}; give a work dir of copl train, or its {RESUME_FILE}")
    # Of what is not installed the config has only the names.
    check_components(path, state["extra"].get("components", {}), registry.table, whole=True)
    experiment = check_config(apply_options(state["extra"]["config"], options), registry, str(path))
    _check_model(state["extra"]["settings"], run_settings(experiment, registry), path)
    session = build_session(experiment, registry, ("train",))
    check_encoders(state, session)
    try:
        session.model.load_prompts_state(state["trained"]["prompts"])
        session.model.head.load_state_dict(state["trained"]["head"])
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"{path} does not fit the model that its config builds now: {error}") from error
    return ExportResult(*export_session(out, session, {}), state["epoch"], state["step"], told)


def _check_model(saved: dict[str, Any], present: dict[str, Any], path: Path) -> None:
    """Refuse to export tensors as those of another model.

    Raises:
        ConfigError: Naming all settings of the model that differ.
    """
    differing = [told for key, told in differences(saved, present).items() if key.partition(".")[0] in MODEL_BLOCKS]
    if differing:
        raise ConfigError(
            f"{path} was trained with another model; these parts differ: {', '.join(differing)}\n"
            "--cfg-options are to say where data and weights lie; what isn't among them is a default that was another "
            "one in the version of copl or its plugin that trained it."
        )


def _read_file(path: Path) -> dict[str, Any] | None:
    return read_state(path) if path.is_file() else None


def portable_model(experiment: Experiment) -> dict[str, Any]:
    """The model part of the config as it is stored with what was trained, see ``portable``."""
    return portable({key: experiment.source[key] for key in MODEL_BLOCKS}, experiment.places)
