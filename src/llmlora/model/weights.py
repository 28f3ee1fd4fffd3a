"""Tensors that somebody else wrote, from a safetensors file: bounded before a library reads it, numbers all.

Of the formats that hold weights only this one is read. A pickle (`.bin`, `.pt`, …) is a program.
"""

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from llmlora.errors import NotAnAdapter
from llmlora.text.catalogue import Words

MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 20_000
SIZES = {"F32": 4, "F16": 2, "BF16": 2}

Floats = np.ndarray[Any, np.dtype[np.float32]]


class HeaderError(Exception):
    """A file whose header cannot be believed. Whoever reads it says of what it is a part."""

    def __init__(self, problem: Words) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_weights(path: Path) -> dict[str, Floats]:
    """Every tensor by its name, in float32.

    Raises:
        NotAnAdapter: no safetensors file, too large a header, or numbers that are not finite floats.
    """
    try:
        read_header(path)
        weights = {name: _floats(path, told) for name, told in deserialize(path.read_bytes())}  # type: ignore[no-untyped-call]
    except HeaderError as error:
        raise NotAnAdapter(path.parent, error.problem) from None
    except (SafetensorError, OSError) as error:
        raise NotAnAdapter(path.parent, _unreadable(path, error)) from None
    if not all(np.isfinite(tensor).all() for tensor in weights.values()):
        raise NotAnAdapter(path.parent, Words("not_adapter.not_finite", {"file": path.name}))
    return weights


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of its tensors, and how many bytes follow. No library parses it before its size is
    known: it allocates what a header asks for.

    Raises:
        HeaderError: it is none, or too large.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(8)
            length = struct.unpack("<Q", first)[0] if len(first) == 8 else size
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise HeaderError(Words("safetensors.none", {"file": path.name}))
            header = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError) as error:
        raise HeaderError(_unreadable(path, error)) from None
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise HeaderError(Words("safetensors.many_tensors", {"file": path.name, "most": MAX_TENSORS}))
    return header, size - 8 - length


def _floats(path: Path, told: dict[str, Any]) -> Floats:
    kind, shape, data = told["dtype"], told["shape"], told["data"]
    if kind not in SIZES:
        raise NotAnAdapter(path.parent, Words("not_adapter.number_format", {"file": path.name, "kind": kind}))
    if len(data) != prod(shape) * SIZES[kind]:
        raise NotAnAdapter(path.parent, Words("safetensors.none", {"file": path.name}))
    if kind == "BF16":
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    return np.frombuffer(data, "<f4" if kind == "F32" else "<f2").astype(np.float32, copy=False).reshape(shape)


def _unreadable(path: Path, error: Exception) -> Words:
    return Words("safetensors.unreadable", {"file": path.name, "reason": str(error)[:200]})
