"""Writing the two files a training leaves behind, and loading them back, all or nothing.

``prompts.safetensors`` holds the tuner's tensors, ``head.safetensors`` the head's. Each names the other by its digest;
a pair that does not belong together is refused.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from copl_core.api import WeightsError
from copl_core.atomic import Write, sync_folder, temporary_files, write_together
from copl_core.checkpoint.fingerprints import digest, dtype_name
from copl_core.checkpoint.header import (
    FORMAT_VERSION,
    HEAD,
    HEAD_FILE,
    METADATA_KEY,
    PROMPTS,
    PROMPTS_FILE,
    Header,
    HeadHeader,
    TrainedFile,
    belong_together,
    prompts_file,
    read_header,
    read_trained_file,
    unreadable,
)
from copl_core.config.values import join, show
from copl_core.model import TwoStream


def save_trained(folder: Path, model: TwoStream, header: Header) -> tuple[Path, Path]:
    """Write both files into ``folder``; the old pair stays until the new one is on the disk, see ``finish_pair``.

    Args:
        folder: Made if missing.
        model: Its tuner and head are saved, its encoders only if the tuner trains them.
        header: Goes into the prompts file; its ``tensors`` and ``head`` are filled in here.

    Returns:
        Paths of the prompts file and of the head file.
    """
    prompts, head = _copy(model.prompts_state()), _copy(model.head.state_dict())
    header = dataclasses.replace(header, tensors=digest(prompts), head=digest(head))
    head_header = HeadHeader(copl_version=header.copl_version, prompts=header.tensors, tensors=header.head)
    paths = folder / PROMPTS_FILE, folder / HEAD_FILE
    write_together({paths[0]: _writer(prompts, PROMPTS, header), paths[1]: _writer(head, HEAD, head_header)})
    return paths


def finish_pair(folder: Path) -> None:
    """Finish an export that was killed after it had replaced the prompts and before it could replace the head.

    The new head then lies whole under its temporary name: each of the two files names the other.

    Args:
        folder: Of an export; nothing happens to one that is complete, or missing.
    """
    for left in temporary_files(folder, HEAD_FILE):
        if _is_head_of(folder / PROMPTS_FILE, left):
            left.replace(folder / HEAD_FILE)
            sync_folder(folder)
            return


def _is_head_of(prompts: Path, path: Path) -> bool:
    """Whether a file is the whole head that was trained with these prompts."""
    try:
        header, file = read_header(prompts), read_trained_file(path, kind=HEAD)
        assert isinstance(file.header, HeadHeader)
        return belong_together(header, file.header) and file.is_intact()
    except WeightsError:  # half written, or no prompts there
        return False


def load_trained(
    path: Path, model: TwoStream, encoders: Mapping[str, Any], config: Mapping[str, Any] | None = None
) -> Header:
    """Load prompts and head into a model, after checking everything; nothing is copied if anything is wrong.

    Args:
        path: The prompts file or the folder that holds both files.
        model: Built from the same model config.
        encoders: Identity and fingerprint of the model's encoders, by role.
        config: The model part of the config that ``model`` was built from; compared where it decides what the model
            computes. None if it is the file's own.

    Raises:
        WeightsError: Listing every difference.
    """
    prompts_path = prompts_file(path)
    prompts = read_trained_file(prompts_path, kind=PROMPTS)
    head = read_trained_file(prompts_path.with_name(HEAD_FILE), kind=HEAD)
    header, head_header = prompts.header, head.header
    assert isinstance(header, Header)
    assert isinstance(head_header, HeadHeader)
    problems = [
        *_encoder_differences(header.encoders, encoders),
        *(() if config is None else _config_differences(_computing(header.model), _computing(config))),
        *_tensor_differences(prompts, model.prompts_state()),
        *_tensor_differences(head, model.head.state_dict()),
        *_name_differences(header.names, model.names),
    ]
    if not belong_together(header, head_header):
        problems.append(f"{HEAD_FILE} was trained with other prompts than {PROMPTS_FILE}")
    if problems:
        raise WeightsError(
            f"{prompts_path.parent} does not fit this model:\n  "
            + "\n  ".join(problems)
            + "\nUse the config and the encoder weights it was trained with."
        )
    # No tensor is read before it is known to have the shape and type of the one it replaces, and none is copied before
    # all are read.
    prompts_state, head_state = _read_tensors(prompts.path), _read_tensors(head.path)
    _load_head(model.head, head_state)
    model.load_prompts_state(prompts_state)
    return header


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def _writer(tensors: Mapping[str, Tensor], kind: str, header: Header | HeadHeader) -> Write:
    """What writes one of the files."""
    # Not ``asdict``: it would fail on mappings that are no dict.
    values = {each.name: getattr(header, each.name) for each in dataclasses.fields(header)}
    document = {"format": kind, "format_version": FORMAT_VERSION, **values}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    # Cloned: state dicts may alias one another's storage (a module used twice), which safetensors refuses.
    copies = {name: tensor.clone() for name, tensor in tensors.items()}
    return lambda temporary: save_file(copies, temporary, metadata={METADATA_KEY: text})


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error


def _load_head(head: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load the head. One that finds that the values don't fit (its sentence model is another) gets its own back."""
    own = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    try:
        head.load_state_dict(state)
    except WeightsError:
        head.load_state_dict(own)
        raise


def _computing(model: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a model config that decides what the model computes; weights are compared by fingerprint."""
    task = model.get("task") or {}
    return {
        "encoders": {
            role: {key: value for key, value in block.items() if key != "weights"} if _is_block(block) else block
            for role, block in (model.get("encoders") or {}).items()
        },
        "tuner": model.get("tuner"),
        "task": {key: task.get(key) for key in ("type", "head")},
    }


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping)


def _config_differences(saved: Any, present: Any, path: str = "") -> list[str]:
    """Where two configs differ, key by key; null is the same as no key."""
    if _is_block(saved) and _is_block(present):
        return [
            problem
            for key in sorted({*saved, *present})
            for problem in _config_differences(saved.get(key), present.get(key), join(path, key))
        ]
    if saved == present:
        return []
    then, now = ("nothing set" if value is None else show(value) for value in (saved, present))
    return [f"{path}: trained with {then}, this config has {now}"]


def _encoder_differences(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    problems = []
    for role in sorted({*saved, *present}):
        if role not in saved or role not in present:
            problems.append(f"encoders: {role} is {'absent' if role not in present else 'present'} in this model only")
            continue
        ours, theirs = present[role], saved[role]
        marks, their_marks = ours["fingerprint"], theirs.get("fingerprint", {})
        if marks == their_marks:
            continue
        part = "structure" if marks["structure"] != their_marks.get("structure") else "weights"
        problems.append(
            f"encoders.{role}: trained on {_describe(theirs)}, this model has {_describe(ours)}: different {part}"
        )
    return problems


def _describe(encoder: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(encoder.get("identity", {}).items()))


def _name_differences(saved: Mapping[str, Sequence[str]], present: Mapping[str, Sequence[str]]) -> list[str]:
    """Where the data set at hand numbers its classes (or words, answers) otherwise than that of the training."""
    problems = []
    for kind in sorted(saved.keys() & present.keys()):
        theirs, ours = list(saved[kind]), list(present[kind])
        if theirs == ours:
            continue
        pairs = zip_longest(map(repr, theirs), map(repr, ours), fillvalue="absent")
        changed = [
            f"number {number} was {then} and is {now}" for number, (then, now) in enumerate(pairs) if then != now
        ]
        problems.append(f"{kind}: trained with {len(theirs)}, this data set has {len(ours)}; " + "; ".join(changed))
    return problems


def _tensor_differences(file: TrainedFile, expected: Mapping[str, Tensor]) -> list[str]:
    name, saved = file.path.name, file.tensors
    problems = [f"{name}: {key} is missing" for key in expected if key not in saved]
    problems += [f"{name}: {key} has no place in this model" for key in saved if key not in expected]
    for key in saved.keys() & expected.keys():
        theirs, ours = (saved[key].shape, saved[key].dtype), (tuple(expected[key].shape), dtype_name(expected[key]))
        if theirs != ours:
            problems.append(f"{name}: {key} is {theirs[0]} {theirs[1]}, the model has {ours[0]} {ours[1]}")
    problems.sort()
    if not file.is_intact():
        problems.append(f"{name}: its tensors are not those it was written with (damaged or edited)")
    return problems
