"""Pretrained weights for timm's Swin-V2, from timm's hub or from a local file, strictly."""

from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models.swin_transformer_v2 import SwinTransformerV2, checkpoint_filter_fn
from torch import Tensor

from copl_core.api import WeightsError

#: Parts of a published checkpoint that an encoder without classifier has no place for.
CLASSIFIER_PREFIX = "head."


def load_from_hub(encoder: SwinTransformerV2, name: str) -> None:
    """Load timm's published weights of ``name`` into ``encoder`` (downloaded once, then from timm's cache)."""
    try:
        published = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # timm raises whatever its hub client raises: connection, HTTP, missing repository
        raise WeightsError(
            f"cannot get timm's weights of {name!r}: {_first_line(error)}\n"
            "Check the connection, or download the file elsewhere and set encoders.<role>.weights to its path "
            "(.safetensors or .pth); weights: none trains on a random encoder."
        ) from error
    encoder.load_state_dict(published.state_dict())


def load_from_file(encoder: SwinTransformerV2, path: Path) -> None:
    """Load a local checkpoint in timm's or the original naming; classifier weights are left out."""
    state = checkpoint_filter_fn(_read(path), encoder)
    state = {name: tensor for name, tensor in state.items() if not name.startswith(CLASSIFIER_PREFIX)}
    expected = encoder.state_dict()
    problems = [f"missing {name} {tuple(tensor.shape)}" for name, tensor in expected.items() if name not in state]
    problems += [f"unexpected {name} {tuple(tensor.shape)}" for name, tensor in state.items() if name not in expected]
    problems += [
        f"{name} is {tuple(tensor.shape)} in the file, {tuple(expected[name].shape)} in the model"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    if problems:
        more = f"\n  ... and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise WeightsError(
            f"the weights in {path} are not those of this Swin-V2; {len(problems)} tensors differ:\n  "
            + "\n  ".join(problems[:5])
            + more
            + "\nUse the file that belongs to encoders.<role>.model, or change the model's name."
        )
    encoder.load_state_dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"no encoder weights at {path}; set encoders.<role>.weights to a file, 'timm' or 'none'")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"cannot read encoder weights {path}: {_first_line(error)}") from error
    except Exception as error:
        # torch's restricted unpickler reports disallowed content with pickle's own error type.
        raise WeightsError(f"{path} is not a plain weights file: {_first_line(error)}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a state dict")
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
