"""Fingerprints of encoders and of tensor sets."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from copl_core.checkpoint.digest import Entry, digest_entries


def fingerprint(encoder: nn.Module) -> dict[str, str]:
    """Identify an encoder by its structure and by its weights.

    Returns:
        ``structure``: SHA-256 over names, shapes and dtypes; ``weights``: over the values as well. Both cover
        parameters and persistent buffers, independent of their order.
    """
    state = encoder.state_dict()
    return {"structure": _digest(state, values=False), "weights": _digest(state, values=True)}


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes, dtypes and values of a set of tensors."""
    return _digest(tensors, values=True)


def dtype_name(tensor: Tensor) -> str:
    """PyTorch's name of the type, e.g. ``float32``."""
    return str(tensor.dtype).removeprefix("torch.")


def _digest(tensors: Mapping[str, Tensor], *, values: bool) -> str:
    return digest_entries(
        Entry(name, tuple(tensor.shape), dtype_name(tensor), _bytes(tensor) if values else None)
        for name, tensor in tensors.items()
    )


def _bytes(tensor: Tensor) -> Any:
    """The tensor's memory as a buffer, without a copy where it lies on the CPU already."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
