"""A streaming writer of GGUF files: the header first, then one tensor at a time, and the name last of all.

The format is described in `reader.py`. What comes from another file is copied byte for byte, so that types, order
and tokens that are not UTF-8 survive.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from llmlora.files import replacing
from llmlora.ggml import TensorType
from llmlora.gguf.reader import DEFAULT_ALIGNMENT, LAYOUTS, STRING, U32, U64, GgufFile

VERSION = 3
# key, GGUF value type, value; `bytes` are taken as the value's encoding
KeyValue = tuple[str, int, Any]


@dataclass(frozen=True)
class TensorPlan:
    """A tensor to write: `shape` rows first; `data` makes its packed bytes when their turn comes."""

    name: str
    kind: TensorType
    shape: tuple[int, ...]
    data: Callable[[], Any]

    @property
    def nbytes(self) -> int:
        return prod(self.shape[:-1]) * self.kind.row_bytes(self.shape[-1])


def write_gguf(
    path: Path, metadata: Iterable[KeyValue], tensors: Iterable[TensorPlan], alignment: int = DEFAULT_ALIGNMENT
) -> None:
    """Write a file that is whole or not there; one tensor is in memory at a time.

    Raises:
        DiskFull: no room; an earlier file at `path` is as it was.
        ValueError: a tensor's data is not as long as its shape says, or the metadata names another alignment.
    """
    pairs, plans = list(metadata), list(tensors)
    stated = next((_encode(kind, value) for key, kind, value in pairs if key == "general.alignment"), None)
    if (stated or U32.pack(DEFAULT_ALIGNMENT)) != U32.pack(alignment):
        raise ValueError(f"general.alignment in the metadata must say {alignment}")
    header = _header(pairs, plans, alignment)
    with replacing(path, len(header) + sum(_padded(plan.nbytes, alignment) for plan in plans)) as file:
        file.write(header)
        for plan in plans:
            written = file.write(_exactly(plan))
            file.write(bytes(_padded(written, alignment) - written))


def copy_metadata(file: GgufFile) -> Iterator[KeyValue]:
    """Every key of a file, in order, its value as it is encoded there."""
    for key in file.metadata:
        yield key, *file.metadata.encoded(key)


def copy_tensor(file: GgufFile, name: str) -> TensorPlan:
    """A tensor of another file, as it is."""
    info = file.tensors[name]
    return TensorPlan(name, info.kind, info.shape, lambda: file.packed(name))


def _header(pairs: list[KeyValue], plans: list[TensorPlan], alignment: int) -> bytes:
    header = bytearray(b"GGUF" + struct.pack("<IQQ", VERSION, len(plans), len(pairs)))
    for key, kind, value in pairs:
        header += _string(key) + U32.pack(kind) + _encode(kind, value)
    offset = 0
    for plan in plans:
        dims = plan.shape[::-1]
        header += _string(plan.name)
        header += struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, plan.kind.number, offset)
        offset += _padded(plan.nbytes, alignment)
    return bytes(header.ljust(_padded(len(header), alignment), b"\0"))


def _encode(kind: int, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return _string(value) if kind == STRING else LAYOUTS[kind].pack(value)


def _string(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    return U64.pack(len(encoded)) + encoded


def _exactly(plan: TensorPlan) -> memoryview:
    data = memoryview(plan.data()).cast("B")
    if len(data) != plan.nbytes:
        raise ValueError(f"{plan.name} has {len(data)} bytes of data, its shape needs {plan.nbytes}")
    return data


def _padded(nbytes: int, alignment: int) -> int:
    return -(-nbytes // alignment) * alignment
