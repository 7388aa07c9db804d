"""The hash over a set of tensors, from tensors in memory or in a file. Imports no torch."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import deserialize

#: PyTorch's names of the types that safetensors abbreviates.
_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64",
}  # fmt: skip


def dtype_name(code: str) -> str:
    """PyTorch's name of a type that safetensors calls ``code``; ``code`` itself where it has none."""
    return _DTYPES.get(code, code)


class Entry(NamedTuple):
    """One tensor of a set.

    Attributes:
        name: Its name.
        shape: Its shape.
        dtype: PyTorch's name of its type, e.g. ``float32``.
        data: Its elements in row order, little-endian; None to leave the values out of the hash.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: Any


def digest_entries(entries: Iterable[Entry]) -> str:
    """SHA-256 over names, shapes, types and values, independent of the order of the entries."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.name):
        total.update(f"{entry.name}|{entry.shape}|torch.{entry.dtype}\n".encode())
        if entry.data is not None:
            total.update(entry.data)
    return total.hexdigest()


def digest_file(path: Path) -> str:
    """The same over the tensors of a safetensors file.

    Raises:
        SafetensorError: It is none.
    """
    return digest_entries(
        Entry(name, tuple(tensor["shape"]), dtype_name(tensor["dtype"]), tensor["data"])
        for name, tensor in deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    )
