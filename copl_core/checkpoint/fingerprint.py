"""Fingerprints of encoders and of tensor sets."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


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


def _digest(tensors: Mapping[str, Tensor], *, values: bool) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        total.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}\n".encode())
        if values:
            total.update(_bytes(tensor))
    return total.hexdigest()


def _bytes(tensor: Tensor) -> Any:
    """The tensor's memory as a buffer, without a copy where it lies on the CPU already."""
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
