"""Pretrained encoder weights: from a local file or a published model, strictly."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from copl_core.api import WeightsError

#: Keys under which training frameworks keep the weights in a checkpoint.
_NESTED = ("state_dict", "model", "module")
_SHOWN = 5


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a local .safetensors, .pth, .pt or .ckpt file, without executing anything in it.

    A checkpoint that holds the weights under ``state_dict``, ``model`` or ``module`` is unwrapped. Objects of a
    training framework beside the tensors (callbacks, settings) are passed over: none of their code is imported or run.

    Raises:
        WeightsError: No such file, damaged, or not a plain weights file.
    """
    if not path.is_file():
        raise WeightsError(
            f"no encoder weights at {path}; set encoders.<role>.weights to the file, or to 'none' for a random encoder"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_stand_ins(path)):
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"cannot read encoder weights {path}: {_first_line(error)}") from error
    except Exception as error:
        # torch's restricted reader raises pickle's errors, with advice to load the file without restriction.
        raise WeightsError(
            f"{path} is not a plain weights file: the safe reader of PyTorch refuses it ({type(error).__name__})\n"
            "Other pickles are not loaded: they can run code. If you trust this one, load it elsewhere and save its "
            "state dict as .safetensors."
        ) from error
    for key in _NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a state dict of tensors")
    return dict(state)


class _Unread(dict[Any, Any]):
    """Stands for an object that lies in a checkpoint beside the tensors."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def __setstate__(self, _: object) -> None:
        pass


def _stand_ins(path: Path) -> list[Any]:
    """Inert classes by the names of those that PyTorch's restricted reader would refuse a checkpoint for."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # not a checkpoint of torch.save; reading it says what is wrong with the file, if anything
        return []
    parts = [name.rpartition(".") for name in names]
    return [type(name, (_Unread,), {"__module__": module}) for module, _, name in parts]


def weights_source(weights: str) -> str:
    """How an encoder's identity names its weights: ``timm`` and ``none`` as they are, of a file only its name."""
    return weights if weights in ("timm", "none") else f"file:{Path(weights).name}"


def load_exactly(module: nn.Module, state: Mapping[str, Tensor], *, source: str | Path, what: str) -> None:
    """Load ``state`` into ``module`` if names and shapes are the same; else change nothing.

    Args:
        module: The encoder.
        state: Tensors by the module's own names.
        source: Where they came from, for the message.
        what: What the module is, for the message, e.g. ``Swin-V2``.

    Raises:
        WeightsError: Lists the first differences.
    """
    expected = module.state_dict()
    problems = [f"missing {name} {tuple(tensor.shape)}" for name, tensor in expected.items() if name not in state]
    problems += [f"unexpected {name} {tuple(tensor.shape)}" for name, tensor in state.items() if name not in expected]
    problems += [
        f"{name} is {tuple(tensor.shape)} in the file, {tuple(expected[name].shape)} in the model"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    if problems:
        more = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise WeightsError(
            f"the weights in {source} are not those of this {what}; {len(problems)} tensors differ:\n  "
            + "\n  ".join(problems[:_SHOWN])
            + more
            + "\nSet encoders.<role>.weights to the file that belongs to this model, or choose the model it belongs to."
        )
    module.load_state_dict(state)


def load_published(module: nn.Module, fetch: Callable[[], nn.Module], *, name: str) -> None:
    """Copy the weights of a published model into ``module``.

    Args:
        module: The encoder.
        fetch: Returns the published model of the same structure; may download.
        name: Its name, for the message.

    Raises:
        WeightsError: It can't be had.
    """
    try:
        published = fetch()
    except Exception as error:  # hub clients raise whatever they meet: connection, HTTP, missing repository
        raise WeightsError(
            f"cannot get the published weights of {name!r}: {_first_line(error)}\n"
            "Check the connection, or download the file elsewhere and set encoders.<role>.weights to its path "
            "(.safetensors or .pth); weights: none trains on a random encoder."
        ) from error
    module.load_state_dict(published.state_dict())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
