"""Tensors in nested values: batches, features, tuples."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor


def map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same value with ``function`` applied to every tensor in its mappings, sequences and dataclasses."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_tensors(each, function) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(each, function) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: map_tensors(getattr(value, field.name), function) for field in fields(value)})
    return value


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Every tensor in a value, in order."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(value, note)
    yield from found


def changed(before: Any, after: Any) -> bool:
    """True unless two values hold equal tensors in equal places."""
    first, second = list(tensors_of(before)), list(tensors_of(after))
    return len(first) != len(second) or any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def far_apart(expected: Tensor, tensor: Tensor, *, tolerance: float) -> bool:
    """True unless two tensors of one shape are equal up to a share of the largest expected number."""
    expected, tensor = expected.detach(), tensor.detach()
    if not expected.is_floating_point():
        return not torch.equal(expected, tensor)
    bound = tolerance * max(1.0, float(expected.abs().max())) if expected.numel() else 0.0
    return not bool(((tensor.double() - expected.double()).abs() <= bound).all())


def same(first: Any, second: Any) -> bool:
    """True if two nested values are equal, tensors in them by value; NaN equals NaN."""
    if isinstance(first, Tensor) or isinstance(second, Tensor):
        if not (isinstance(first, Tensor) and isinstance(second, Tensor)) or first.shape != second.shape:
            return False
        return first.dtype == second.dtype and torch.equal(first.nan_to_num(0.5), second.nan_to_num(0.5))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)
