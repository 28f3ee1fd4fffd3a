"""A bounded reader of GGUF files.

Layout (docs/gguf.md of the ggml project), little-endian:

    "GGUF" u32 version  u64 n_tensors  u64 n_kv
    n_kv ×      string key, u32 type, value            string = u64 length, bytes
    n_tensors × string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset
    padding to `general.alignment`, then the tensor data

A header is believed only after it has been bounded: each count is compared with a cap and with the bytes that are
left before anything is allocated or multiplied, and arrays are stepped over, not built: `metadata` decodes one when
it is asked for. Dimensions are given in numpy's order, rows first (the file holds them reversed).
"""

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np

from llmlora.errors import GgufError
from llmlora.ggml import TENSOR_TYPES, TensorType

MAX_TENSORS = 65_536
MAX_KEYS = 4_096
MAX_KEY_BYTES = 256
MAX_STRING_BYTES = 16 * 2**20
MAX_DIMENSIONS = 4
MAX_DIMENSION = 2**40
MAX_ALIGNMENT = 4_096
DEFAULT_ALIGNMENT = 32

STRING, ARRAY = 8, 9
# GGUF value type -> struct format (numpy reads the same letters)
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
SCALAR_BYTES = {kind: struct.calcsize("<" + letter) for kind, letter in SCALARS.items()}


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: `shape` rows first, `offset` from the start of the file, `nbytes` long."""

    name: str
    kind: TensorType
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True)
class ArraySpan:
    """An array value that has been bounded but not decoded."""

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
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise GgufError(path, str(error)) from None
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
        try:
            self._map.close()
        except BufferError:
            pass

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
        if bytes(self._map[:4]) != b"GGUF":
            cursor.fail("not a GGUF file")
        cursor.at = 4
        self.version = cursor.u32()
        if self.version not in (2, 3):
            cursor.fail(f"version {self.version} is not 2 or 3")
        n_tensors = cursor.count("tensors", MAX_TENSORS)
        n_keys = cursor.count("metadata keys", MAX_KEYS)
        spans = dict(_keys(cursor, n_keys))
        if len(spans) != n_keys:
            cursor.fail("a metadata key appears twice")
        self.metadata = Metadata(self._map, self.path, spans)
        self.alignment = self._alignment(cursor)
        infos = [_tensor(cursor) for _ in range(n_tensors)]
        self._data_start = -(-cursor.at // self.alignment) * self.alignment
        self.tensors = {info.name: self._place(cursor, info) for info in infos}
        if len(self.tensors) != n_tensors:
            cursor.fail("a tensor name appears twice")

    def _alignment(self, cursor: "_Cursor") -> int:
        alignment = self.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            cursor.fail(f"alignment {alignment!r} is not a power of two up to {MAX_ALIGNMENT}")
        return alignment

    def _place(self, cursor: "_Cursor", info: TensorInfo) -> TensorInfo:
        offset = self._data_start + info.offset
        if info.offset % self.alignment or offset + info.nbytes > len(self._map):
            cursor.fail(f"tensor {info.name!r} lies outside the file")
        return TensorInfo(info.name, info.kind, info.shape, offset, info.nbytes)


class Metadata(Mapping[str, Any]):
    """The key-value pairs. Scalars and strings are Python values; arrays decode on access:
    numbers to a numpy array, strings to a list of str, booleans to a numpy array of bool.
    """

    def __init__(self, data: mmap.mmap, path: Path, values: dict[str, Any]) -> None:
        self._data, self._path, self._values = data, path, values

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        return self._decode(value) if isinstance(value, ArraySpan) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def length(self, key: str) -> int:
        """Items of the array at `key`, without decoding it."""
        span = self._values[key]
        return span.length if isinstance(span, ArraySpan) else 1

    def raw(self, key: str) -> Any:
        """The value as indexed: a scalar, a string, or an `ArraySpan`."""
        return self._values[key]

    def _decode(self, span: ArraySpan) -> Any:
        if span.kind != STRING:
            letter = SCALARS[span.kind]
            return np.frombuffer(self._data, np.dtype(letter).newbyteorder("<"), span.length, span.start).copy()
        cursor = _Cursor(self._data, self._path, span.start)
        return [cursor.string(MAX_STRING_BYTES) for _ in range(span.length)]


class _Cursor:
    """Reads forward through the map and never past its end."""

    def __init__(self, data: mmap.mmap, path: Path, at: int = 0) -> None:
        self.data, self.path, self.at = data, path, at

    def fail(self, problem: str) -> NoReturn:
        raise GgufError(self.path, problem)

    def need(self, nbytes: int) -> None:
        if nbytes > len(self.data) - self.at:
            self.fail(f"cut off at byte {len(self.data)}")

    def scalar(self, kind: int) -> Any:
        self.need(SCALAR_BYTES[kind])
        (value,) = struct.unpack_from("<" + SCALARS[kind], self.data, self.at)
        self.at += SCALAR_BYTES[kind]
        return value

    def u32(self) -> int:
        return int(self.scalar(4))

    def u64(self) -> int:
        return int(self.scalar(10))

    def count(self, what: str, most: int) -> int:
        number = self.u64()
        if number > most:
            self.fail(f"{number} {what} (at most {most})")
        return number

    def string(self, most: int) -> str:
        length = self.count("bytes in a string", most)
        self.need(length)
        text = self.data[self.at : self.at + length]
        self.at += length
        # real vocabularies hold tokens that are not UTF-8; they must survive a round trip
        return text.decode("utf-8", "surrogateescape")


def _keys(cursor: _Cursor, n_keys: int) -> Iterator[tuple[str, Any]]:
    for _ in range(n_keys):
        key = cursor.string(MAX_KEY_BYTES)
        kind = cursor.u32()
        if kind in SCALARS:
            yield key, cursor.scalar(kind)
        elif kind == STRING:
            yield key, cursor.string(MAX_STRING_BYTES)
        elif kind == ARRAY:
            yield key, _array(cursor)
        else:
            cursor.fail(f"value type {kind} of {key!r} is unknown")


def _array(cursor: _Cursor) -> ArraySpan:
    kind, length = cursor.u32(), cursor.u64()
    span = ArraySpan(kind, length, cursor.at)
    if kind in SCALARS:
        cursor.need(length * SCALAR_BYTES[kind])
        cursor.at += length * SCALAR_BYTES[kind]
    elif kind == STRING:
        cursor.need(length * 8)
        _skip_strings(cursor, length)
    else:
        cursor.fail(f"arrays of type {kind} are not allowed")
    return span


def _skip_strings(cursor: _Cursor, length: int) -> None:
    # the hot loop: a real vocabulary has 262,144 strings
    data, end, at = cursor.data, len(cursor.data), cursor.at
    unpack = struct.Struct("<Q").unpack_from
    for _ in range(length):
        if at + 8 > end:
            cursor.fail(f"cut off at byte {end}")
        (size,) = unpack(data, at)
        at += 8 + size
        if size > MAX_STRING_BYTES or at > end:
            cursor.fail(f"a string of {size} bytes")
    cursor.at = at


def _tensor(cursor: _Cursor) -> TensorInfo:
    name = cursor.string(MAX_KEY_BYTES)
    n_dims = cursor.u32()
    if not 1 <= n_dims <= MAX_DIMENSIONS:
        cursor.fail(f"tensor {name!r} has {n_dims} dimensions")
    dims = [cursor.u64() for _ in range(n_dims)]
    if not all(0 < size <= MAX_DIMENSION for size in dims):
        cursor.fail(f"tensor {name!r} has dimensions {dims}")
    kind = TENSOR_TYPES.get(number := cursor.u32())
    if kind is None:
        cursor.fail(f"tensor {name!r} has the unknown type {number}")
    if dims[0] % kind.block_size:
        cursor.fail(f"tensor {name!r} has rows of {dims[0]} weights, not whole blocks of {kind.block_size}")
    shape = tuple(reversed(dims))
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return TensorInfo(name, kind, shape, cursor.u64(), rows * kind.row_bytes(dims[0]))
