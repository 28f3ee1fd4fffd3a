"""A bounded reader of GGUF files.

Layout (docs/gguf.md of the ggml project), little-endian:

    "GGUF" u32 version  u64 n_tensors  u64 n_kv
    n_kv ×      string key, u32 type, value            string = u64 length, bytes
    n_tensors × string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset
    padding to `general.alignment`, then the tensor data

A header is believed only after it has been bounded: each count is compared with a cap and with the bytes that are
left before anything is allocated or multiplied. Values are stepped over, not built: `metadata` decodes one when it
is asked for. Dimensions are given in numpy's order, rows first (the file holds them reversed).

The file is memory-mapped, so it must not shrink while it is open: the system answers a touch of a page that is
gone with SIGBUS. Ollama replaces files by renaming, which is safe.
"""

import mmap
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from llmlora.errors import GgufError
from llmlora.ggml import TENSOR_TYPES, TensorType
from llmlora.gguf.lookalikes import looks_like

MAX_TENSORS = 65_536
MAX_KEYS = 4_096
MAX_KEY_BYTES = 256
MAX_HEADER_BYTES = 64 * 2**20  # everything before the tensor data; real ones stay under 30 MiB
MAX_STRING_BYTES = 16 * 2**20
MAX_STRINGS = 2**21  # of all arrays together; real files hold under a million tokens and merges
MAX_DIMENSIONS = 4
MAX_DIMENSION = 2**40
MAX_ALIGNMENT = 4_096
DEFAULT_ALIGNMENT = 32
MIN_TENSOR_BYTES = 64  # an entry of the table takes 33 bytes and more, its aligned data 32

UINT32, FLOAT32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
# GGUF value type -> struct format (numpy reads the same letters)
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
LAYOUTS = {kind: struct.Struct("<" + letter) for kind, letter in SCALARS.items()}
U32, U64 = LAYOUTS[4], LAYOUTS[10]
# what follows a tensor's number of dimensions: the dimensions, the type, the offset
TAILS = {n: struct.Struct(f"<{n}QIQ") for n in range(1, MAX_DIMENSIONS + 1)}


class TensorInfo(NamedTuple):
    """Where a tensor lies: `shape` rows first, `offset` from the start of the file, `nbytes` long."""

    name: str
    kind: TensorType
    shape: tuple[int, ...]
    offset: int
    nbytes: int


# a row of the table: name, type, shape, offset into the data section, bytes
TableEntry = tuple[str, TensorType, tuple[int, ...], int, int]


class Span(NamedTuple):
    """The bytes of a value that has been bounded but not decoded."""

    kind: int
    start: int
    end: int


@dataclass(frozen=True)
class ArraySpan:
    """An array value that has been bounded but not decoded: `length` items of type `kind` from byte `start`."""

    kind: int
    length: int
    start: int


class GgufFile:
    """An open GGUF file: `metadata`, `tensors`, and the packed bytes of each tensor, memory-mapped read-only."""

    def __init__(self, path: Path) -> None:
        """Index the header.

        Raises:
            GgufError: missing, unreadable, truncated or malformed file.
        """
        self.path = path
        self._map = _map(path)
        try:
            self._index()
        except GgufError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the file, unless arrays returned by `packed` still look into it."""
        with suppress(BufferError):
            self._map.close()

    def packed(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The bytes of tensor `name` as uint8 [rows, row_bytes] (a vector has one row), a view of the file."""
        info = self.tensors[name]
        flat = np.frombuffer(self._map, np.uint8, info.nbytes, info.offset)
        return flat.reshape(-1, info.kind.row_bytes(info.shape[-1]))

    def header_bytes(self) -> int:
        """Where the tensor data begins."""
        return self._data_start

    def _index(self) -> None:
        cursor = _Cursor(self._map, self.path)
        self.version = _version(cursor)
        n_tensors = cursor.count("tensors", MAX_TENSORS)
        n_keys = cursor.count("metadata keys", MAX_KEYS)
        if n_tensors * MIN_TENSOR_BYTES > len(self._map):
            cursor.fail(f"{n_tensors} tensors do not fit into {len(self._map)} bytes")
        spans = dict(_keys(cursor, n_keys))
        if len(spans) != n_keys:
            cursor.fail("a metadata key appears twice")
        self.metadata = Metadata(self._map, self.path, spans)
        self.alignment = _alignment(cursor, self.metadata)
        entries = [_tensor(cursor) for _ in range(n_tensors)]
        self._data_start = -(-cursor.at // self.alignment) * self.alignment
        self.tensors = _place(cursor, entries, self._data_start, self.alignment)


class Metadata(Mapping[str, Any]):
    """The key-value pairs, decoded on access. Scalars and strings become Python values, arrays of numbers a numpy
    array, arrays of strings a list of str, arrays of booleans a numpy array of bool.
    """

    def __init__(self, data: mmap.mmap, path: Path, spans: dict[str, Span]) -> None:
        self._data, self._path, self._spans = data, path, spans

    def __getitem__(self, key: str) -> Any:
        value = self.raw(key)
        return self._decode(value) if isinstance(value, ArraySpan) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    def __contains__(self, key: object) -> bool:
        return key in self._spans

    def length(self, key: str) -> int:
        """Items of the array at `key`, without decoding it."""
        value = self.raw(key)
        return value.length if isinstance(value, ArraySpan) else 1

    def raw(self, key: str) -> Any:
        """The value without decoding arrays: a scalar, a string, or an `ArraySpan`."""
        span = self._spans[key]
        cursor = _Cursor(self._data, self._path, span.start)
        if span.kind == STRING:
            return cursor.string(MAX_STRING_BYTES)
        if span.kind == ARRAY:
            return ArraySpan(cursor.take(U32), cursor.take(U64), cursor.at)
        return cursor.take(LAYOUTS[span.kind])

    def encoded(self, key: str) -> tuple[int, bytes]:
        """The GGUF type of a value and its bytes exactly as the file holds them."""
        span = self._spans[key]
        return span.kind, self._data[span.start : span.end]

    def _decode(self, span: ArraySpan) -> Any:
        if span.kind == STRING:
            cursor = _Cursor(self._data, self._path, span.start)
            return [cursor.string(MAX_STRING_BYTES) for _ in range(span.length)]
        if span.kind == BOOL:  # any byte may stand in a file, but numpy's bool must be 0 or 1
            return np.frombuffer(self._data, np.uint8, span.length, span.start) != 0
        kind = np.dtype(SCALARS[span.kind]).newbyteorder("<")
        return np.frombuffer(self._data, kind, span.length, span.start).copy()


class _Cursor:
    """Reads forward through the map and never past its end."""

    def __init__(self, data: mmap.mmap, path: Path, at: int = 0) -> None:
        self.data, self.path, self.at = data, path, at
        self.end = min(len(data), MAX_HEADER_BYTES)
        self.strings_left = MAX_STRINGS

    def fail(self, problem: str) -> NoReturn:
        raise GgufError(self.path, problem)

    def too_far(self) -> NoReturn:
        if self.end == len(self.data):
            self.fail(f"it is cut off at byte {self.end}, or lies about its contents")
        self.fail(f"its header is longer than {MAX_HEADER_BYTES} bytes")

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        start = self.at
        self.at = start + layout.size
        if self.at > self.end:
            self.too_far()
        return layout.unpack_from(self.data, start)

    def take(self, layout: struct.Struct) -> Any:
        return self.unpack(layout)[0]

    def skip(self, nbytes: int) -> None:
        self.at += nbytes
        if self.at > self.end:
            self.too_far()

    def count(self, what: str, most: int) -> int:
        (number,) = self.unpack(U64)
        if number > most:
            self.fail(f"{number} {what} (at most {most})")
        return int(number)

    def string(self, most: int) -> str:
        start = self.at + U64.size
        self.skip_string(most)
        # real vocabularies hold tokens that are not UTF-8; they must survive a round trip
        return self.data[start : self.at].decode("utf-8", "surrogateescape")

    def skip_string(self, most: int) -> None:
        # written out, not made of the methods above: a file may have 65,536 names
        start = self.at + U64.size
        if start > self.end:
            self.too_far()
        (length,) = U64.unpack_from(self.data, self.at)
        if length > most:
            self.fail(f"{length} bytes in a string (at most {most})")
        self.at = start + length
        if self.at > self.end:
            self.too_far()


def _map(path: Path) -> mmap.mmap:
    """Map a regular file; nothing else is opened in a way that could block, such as a pipe nobody writes to."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                raise GgufError(path, "it is a directory" if stat.S_ISDIR(mode) else "it is not a regular file")
            if not os.fstat(handle).st_size:
                raise GgufError(path, "it is empty")
            return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise GgufError(path, getattr(error, "strerror", None) or str(error)) from None


def _version(cursor: _Cursor) -> int:
    head = cursor.data[:512]
    if head[:4] != b"GGUF":
        cursor.fail(f"it looks like {looks_like(head)}")
    cursor.at = 4
    version: int = cursor.take(U32)
    if version == 1:
        cursor.fail("it has version 1 of the format, which nobody has written since 2023")
    if version and version & 0xFFFF == 0:  # the bytes of a small number in the other order
        cursor.fail("it is big-endian, made for another kind of machine")
    if version not in (2, 3):
        cursor.fail(f"its version of the format is {version}; 2 and 3 are known")
    return version


def _keys(cursor: _Cursor, n_keys: int) -> Iterator[tuple[str, Span]]:
    for _ in range(n_keys):
        key = cursor.string(MAX_KEY_BYTES)
        kind = cursor.take(U32)
        start = cursor.at
        if kind in LAYOUTS:
            cursor.skip(LAYOUTS[kind].size)
        elif kind == STRING:
            cursor.skip_string(MAX_STRING_BYTES)
        elif kind == ARRAY:
            _skip_array(cursor, key)
        else:
            cursor.fail(f"value type {kind} of {key!r} is unknown")
        yield key, Span(kind, start, cursor.at)


def _skip_array(cursor: _Cursor, key: str) -> None:
    kind, length = cursor.take(U32), cursor.take(U64)
    if kind == STRING:
        _skip_strings(cursor, key, length)
    elif kind not in LAYOUTS:
        cursor.fail(f"{key!r} is an array of type {kind}, which is not allowed")
    else:
        cursor.skip(length * LAYOUTS[kind].size)


def _skip_strings(cursor: _Cursor, key: str, length: int) -> None:
    if length > cursor.strings_left:
        cursor.fail(f"{key!r} has {length} strings (at most {MAX_STRINGS} in a file)")
    cursor.strings_left -= length
    data, at, last = cursor.data, cursor.at, cursor.end - U64.size
    unpack = U64.unpack_from
    for _ in range(length):  # the hot loop: a real vocabulary has 262,144 strings
        if at > last:
            cursor.too_far()
        at += 8 + unpack(data, at)[0]
    cursor.at = at
    cursor.skip(0)


def _alignment(cursor: _Cursor, metadata: Metadata) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    possible = type(alignment) is int and 0 < alignment <= MAX_ALIGNMENT
    if not possible or alignment & (alignment - 1):
        cursor.fail(f"general.alignment is not a power of two up to {MAX_ALIGNMENT}")
    return int(alignment)


def _tensor(cursor: _Cursor) -> TableEntry:
    name = cursor.string(MAX_KEY_BYTES)
    (n_dims,) = cursor.unpack(U32)
    if (tail := TAILS.get(n_dims)) is None:
        cursor.fail(f"tensor {name!r} has {n_dims} dimensions")
    *dims, number, offset = cursor.unpack(tail)
    if not 0 < min(dims) <= max(dims) <= MAX_DIMENSION:
        cursor.fail(f"tensor {name!r} has dimensions {dims}")
    if (kind := TENSOR_TYPES.get(number)) is None:
        cursor.fail(f"tensor {name!r} has the unknown type {number}")
    if dims[0] % kind.block_size:
        cursor.fail(f"tensor {name!r} has rows of {dims[0]} weights, not whole blocks of {kind.block_size}")
    nbytes = prod(dims) // kind.block_size * kind.block_bytes
    return name, kind, tuple(dims[::-1]), offset, nbytes


def _place(cursor: _Cursor, entries: list[TableEntry], start: int, alignment: int) -> dict[str, TensorInfo]:
    """Turn offsets into the data section into offsets into the file; no two tensors may share a byte."""
    room, past = len(cursor.data) - start, 0
    for offset, nbytes, name in sorted((offset, nbytes, name) for name, _, _, offset, nbytes in entries):
        if offset % alignment:
            cursor.fail(f"tensor {name!r} does not begin at a multiple of {alignment}")
        if offset < past:
            cursor.fail(f"tensor {name!r} overlaps another one")
        past = offset + nbytes
        if past > room:
            cursor.fail(f"tensor {name!r} ends after the file: it is cut off, or lies about its contents")
    tensors = {name: TensorInfo(name, kind, shape, start + at, size) for name, kind, shape, at, size in entries}
    if len(tensors) != len(entries):
        cursor.fail("a tensor name appears twice")
    return tensors
