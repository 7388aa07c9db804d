"""The two files a training leaves behind, and loading them back, all or nothing.

``prompts.safetensors`` holds the tuner's tensors, ``head.safetensors`` the head's. Each has one metadata key, ``copl``,
with a JSON document (a second key would make the bytes depend on hash order). The head names the prompts it was trained
with by their digest; a pair that does not belong together is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from copl_core.api import WeightsError
from copl_core.checkpoint.atomic import write_atomically
from copl_core.checkpoint.fingerprint import digest
from copl_core.model import TwoStream

PROMPTS_FILE = "prompts.safetensors"
HEAD_FILE = "head.safetensors"
METADATA_KEY = "copl"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Header:
    """What the prompts file says about itself.

    Attributes:
        encoders: By role: identity and fingerprint of the encoder the prompts were trained on.
        model: The model part of the resolved config (encoders, tuner, task).
        components: Provider of every component: kind, name, plugin, distribution, version.
        scores: Validation scores of the exported state.
        seed: Seed of the run.
        protocol: Protocol of the run.
        copl_version: Version that wrote the file.
        tensors: Digest of the tensors.
    """

    encoders: Mapping[str, Any]
    model: Mapping[str, Any]
    components: Mapping[str, Any]
    scores: Mapping[str, float]
    seed: int
    protocol: str
    copl_version: str
    tensors: str = ""


def save_trained(folder: Path, model: TwoStream, header: Header) -> tuple[Path, Path]:
    """Write both files into ``folder``.

    Args:
        folder: Made if missing.
        model: Its tuner and head are saved, its encoders are not.
        header: Goes into the prompts file; its ``tensors`` is filled in here.

    Returns:
        Paths of the prompts file and of the head file.
    """
    prompts, head = _state(model.tuner), _state(model.head)
    prompts_digest = digest(prompts)
    document = {
        "format": "copl.prompts",
        "format_version": FORMAT_VERSION,
        **{name: getattr(header, name) for name in Header.__dataclass_fields__},
        "tensors": prompts_digest,
    }
    _write(folder / PROMPTS_FILE, prompts, document)
    _write(
        folder / HEAD_FILE,
        head,
        {
            "format": "copl.head",
            "format_version": FORMAT_VERSION,
            "copl_version": header.copl_version,
            "prompts": prompts_digest,
            "tensors": digest(head),
        },
    )
    return folder / PROMPTS_FILE, folder / HEAD_FILE


def read_header(path: Path) -> Header:
    """Read what a prompts file says about itself, without its tensors.

    Args:
        path: The prompts file or the folder that holds it.
    """
    document, _ = _read(_prompts_file(path), "copl.prompts", tensors=False)
    return Header(**{name: document[name] for name in Header.__dataclass_fields__})


def load_trained(path: Path, model: TwoStream, encoders: Mapping[str, Any]) -> Header:
    """Load prompts and head into a model, after checking everything; nothing is copied if anything is wrong.

    Args:
        path: The prompts file or the folder that holds both files.
        model: Built from the same model config.
        encoders: Identity and fingerprint of the model's encoders, by role.

    Raises:
        WeightsError: Listing every difference.
    """
    prompts_path = _prompts_file(path)
    head_path = prompts_path.with_name(HEAD_FILE)
    document, prompts = _read(prompts_path, "copl.prompts")
    head_document, head = _read(head_path, "copl.head")
    header = Header(**{name: document[name] for name in Header.__dataclass_fields__})
    problems = _encoder_differences(header.encoders, encoders)
    problems += _tensor_differences(prompts_path.name, prompts, _state(model.tuner))
    problems += _tensor_differences(head_path.name, head, _state(model.head))
    if digest(prompts) != header.tensors:
        problems.append(f"{prompts_path.name}: its tensors are not those it was written with (damaged or edited)")
    if head_document["prompts"] != header.tensors:
        problems.append(f"{head_path.name} was trained with other prompts than {prompts_path.name}")
    if problems:
        raise WeightsError(
            f"{prompts_path.parent} does not fit this model:\n  "
            + "\n  ".join(problems)
            + "\nUse the config and the encoder weights it was trained with."
        )
    model.tuner.load_state_dict(prompts)
    model.head.load_state_dict(head)
    return header


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def _write(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    # Cloned: state dicts may alias one another's storage (a module used twice), which safetensors refuses.
    copies = {name: tensor.clone() for name, tensor in tensors.items()}
    write_atomically(path, lambda temporary: save_file(copies, temporary, metadata={METADATA_KEY: text}))


def _prompts_file(path: Path) -> Path:
    return path / PROMPTS_FILE if path.is_dir() else path


def _read(path: Path, kind: str, *, tensors: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise WeightsError(f"no {path.name} at {path}; give the folder a training exported to, or its {PROMPTS_FILE}")
    try:
        with safe_open(path, framework="pt") as handle:
            document = json.loads((handle.metadata() or {}).get(METADATA_KEY, "{}"))
            names = handle.keys() if tensors else []
            state = {name: handle.get_tensor(name) for name in names}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise WeightsError(f"cannot read {path}: {error}; export or copy it again") from error
    if document.get("format") != kind:
        raise WeightsError(f"{path} is not a {kind} file (format: {document.get('format')!r})")
    if document["format_version"] > FORMAT_VERSION:
        raise WeightsError(
            f"{path} has format version {document['format_version']}, this copl reads up to {FORMAT_VERSION}: "
            "upgrade copl"
        )
    return document, state


def _encoder_differences(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    problems = []
    for role in sorted({*saved, *present}):
        if role not in saved or role not in present:
            problems.append(f"encoders: {role} is {'absent' if role not in present else 'present'} in this model only")
            continue
        ours, theirs = present[role], saved[role]
        if ours["fingerprint"] == theirs["fingerprint"]:
            continue
        part = "structure" if ours["fingerprint"]["structure"] != theirs["fingerprint"]["structure"] else "weights"
        problems.append(
            f"encoders.{role}: trained on {_describe(theirs)}, this model has {_describe(ours)}: different {part}"
        )
    return problems


def _describe(encoder: Mapping[str, Any]) -> str:
    identity = encoder["identity"]
    return " ".join(f"{key}={value}" for key, value in sorted(identity.items()))


def _tensor_differences(name: str, saved: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    problems = [f"{name}: {key} is missing" for key in expected if key not in saved]
    problems += [f"{name}: {key} has no place in this model" for key in saved if key not in expected]
    for key in saved.keys() & expected.keys():
        if saved[key].shape != expected[key].shape or saved[key].dtype != expected[key].dtype:
            problems.append(
                f"{name}: {key} is {tuple(saved[key].shape)} {saved[key].dtype}, "
                f"the model has {tuple(expected[key].shape)} {expected[key].dtype}"
            )
    return sorted(problems)
