"""What prompts.safetensors and head.safetensors say about themselves. Read without torch and without any tensor.

Each file has one metadata key, ``copl``, with a JSON document: a second key would make the bytes depend on hash order.
"""

import copy
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from copl_core.api import WeightsError
from copl_core.checkpoint.digest import digest_file, dtype_name
from copl_core.config.values import ValueReader
from copl_core.plugins.table import FIRST_PARTY

PROMPTS_FILE = "prompts.safetensors"
HEAD_FILE = "head.safetensors"
METADATA_KEY = "copl"
FORMAT_VERSION = 1
PROMPTS, HEAD = "copl.prompts", "copl.head"


@dataclass(frozen=True)
class Header:
    """What the prompts file says about itself.

    Attributes:
        encoders: By role: ``identity`` and ``fingerprint`` of the encoder the prompts were trained on.
        model: The model part of the resolved config (encoders, tuner, task); each ``type`` names the component that is
            recorded in ``components``, whatever else is installed by now.
        components: Provider of every component: kind, name, plugin, distribution, version.
        scores: Validation scores of the exported state.
        seed: Seed of the run.
        protocol: Protocol of the run.
        copl_version: Version that wrote the file.
        tensors: Digest of the tensors.
        head: Digest of the tensors of the head that was trained with them.
        names: What the numbers in samples and predictions stand for: classes, words, answers.
    """

    encoders: Mapping[str, Mapping[str, Mapping[str, Any]]]
    model: Mapping[str, Mapping[str, Any]]
    components: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, float]
    seed: int
    protocol: str
    copl_version: str
    tensors: str = ""
    head: str = ""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class HeadHeader:
    """What the head file says about itself.

    Attributes:
        copl_version: Version that wrote the file.
        prompts: Digest of the tensors of the prompts it was trained with.
        tensors: Digest of its own tensors.
    """

    copl_version: str
    prompts: str
    tensors: str


@dataclass(frozen=True)
class TensorInfo:
    """Shape and type (PyTorch's name, e.g. ``float32``) of a stored tensor."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class TrainedFile:
    """A prompts file or a head file, but for the values of its tensors.

    Attributes:
        path: The file.
        format: ``copl.prompts`` or ``copl.head``.
        format_version: Version of the format it was written in.
        header: What it says about itself.
        tensors: By name.
    """

    path: Path
    format: str
    format_version: int
    header: Header | HeadHeader
    tensors: Mapping[str, TensorInfo]

    def is_intact(self) -> bool:
        """Whether the tensors are those it was written with. Reads all of the file.

        Raises:
            WeightsError: It can't be read any more.
        """
        try:
            return digest_file(self.path) == self.header.tensors
        except (SafetensorError, OSError) as error:
            raise unreadable(self.path, error) from error


def belong_together(prompts: Header, head: HeadHeader) -> bool:
    """Whether the two files come from one training: each names the other's tensors."""
    return head.prompts == prompts.tensors and prompts.head == head.tensors


def prompts_file(path: Path) -> Path:
    """The prompts file itself, given it or the folder that holds it."""
    return path / PROMPTS_FILE if path.is_dir() else path


def read_header(path: Path) -> Header:
    """Read what a prompts file says about itself, without its tensors.

    Args:
        path: The prompts file or the folder that holds it.

    Raises:
        WeightsError: There is none, or it can't be read.
    """
    header = read_trained_file(prompts_file(path), kind=PROMPTS).header
    assert isinstance(header, Header)
    return header


def read_trained_file(path: Path, *, kind: str | None = None) -> TrainedFile:
    """Read all of a prompts or head file but the values of its tensors.

    Args:
        path: The file.
        kind: The one kind to accept, ``copl.prompts`` or ``copl.head``; None takes either.

    Raises:
        WeightsError: No such file, damaged, of another kind, or written by a newer copl.
    """
    text, tensors = _read_raw(path)
    document = _parse(text, path)
    found, version = document.get("format"), document.get("format_version")
    if found not in (PROMPTS, HEAD) or (kind is not None and found != kind):
        raise WeightsError(f"{path} is not a {kind or f'{PROMPTS} or {HEAD}'} file (format: {found!r})")
    if type(version) is not int or version < 1:
        raise WeightsError(f"{path} has no format version (got {version!r}): export it again")
    if version > FORMAT_VERSION:
        raise WeightsError(f"{path} has format version {version}, this copl reads up to {FORMAT_VERSION}: upgrade copl")
    return TrainedFile(
        path, found, version, _check(document, Header if found == PROMPTS else HeadHeader, path), tensors
    )


def _read_raw(path: Path) -> tuple[str, dict[str, TensorInfo]]:
    """The JSON text and the tensors' shapes."""
    if not path.is_file():
        raise WeightsError(f"no {path.name} at {path}; give the folder a training exported to, or its {PROMPTS_FILE}")
    try:
        with safe_open(path, framework="numpy") as handle:
            text = (handle.metadata() or {}).get(METADATA_KEY, "{}")
            names = handle.keys()
            return text, {name: _describe(handle.get_slice(name)) for name in names}
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error


def _describe(tensor: Any) -> TensorInfo:
    return TensorInfo(tuple(tensor.get_shape()), dtype_name(tensor.get_dtype()))


def unreadable(path: Path, error: Exception | str) -> WeightsError:
    """The error for a file that is damaged."""
    return WeightsError(f"cannot read {path}: {error}; export or copy it again")


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, f"its description is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise unreadable(path, "its description is no JSON object")
    return document


def _check(document: Mapping[str, Any], kind: type[Any], path: Path) -> Any:
    """The document as a header; keys of a later copl that this one doesn't know are left out."""
    known = {each.name: document[each.name] for each in fields(kind) if each.name in document}
    reader = ValueReader()
    header = reader.read(known, kind, "")
    for each in fields(kind):
        if each.name not in document and each.name not in {problem.path for problem in reader.problems}:
            reader.fail(each.name, "missing")
    if reader.problems:
        raise unreadable(path, "its description is wrong: " + "; ".join(map(str, reader.problems)))
    return _with_recorded_names(header) if isinstance(header, Header) else header


def _with_recorded_names(header: Header) -> Header:
    """A header whose config names each component by the plugin it is recorded with.

    Files may hold bare names, which mean what they did until another plugin brings a component of that name.
    """
    model = copy.deepcopy(header.model)
    for path, component in header.components.items():
        block = _at(model, path)
        name, distribution = component.get("name"), component.get("distribution")
        qualified = f"{component.get('plugin')}.{name}"
        # What doesn't fit together is left as it is.
        if isinstance(block, dict) and isinstance(distribution, str) and block.get("type") in (name, qualified):
            block["type"] = name if distribution == FIRST_PARTY else qualified
    return dataclasses.replace(header, model=model)


def _at(config: Any, path: str) -> Any:
    """The value at a path, None if there is none."""
    for key in path.split("."):
        if isinstance(config, list) and key.isdecimal() and int(key) < len(config):
            config = config[int(key)]
        else:
            config = config.get(key) if isinstance(config, dict) else None
    return config
