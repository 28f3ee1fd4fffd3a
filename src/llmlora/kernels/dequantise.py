"""A packed matrix, and reading some of its rows as numbers."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from llmlora.ggml import TensorType
from llmlora.kernels import fast
from llmlora.kernels.threads import as_array, spread
from llmlora.kernels.types import SUPPORTED

# a share for a thread takes about 60 µs
ELEMENTS_PER_THREAD = 262_144


@dataclass(frozen=True, eq=False)
class PackedMatrix:
    """A matrix [rows, columns] in its GGML blocks."""

    blocks: np.ndarray[Any, np.dtype[np.uint8]]  # [rows, row_bytes], usually a read-only view of a mapped file
    kind: TensorType
    order: np.ndarray[Any, np.dtype[np.int64]] | None = None  # row i is stored at order[i]; None: as stored
    unpacked: Tensor | None = None  # all of it as numbers, where there is memory for that

    @property
    def shape(self) -> tuple[int, int]:
        return self.blocks.shape[0], self.blocks.shape[1] // self.kind.block_bytes * self.kind.block_size

    def stored(self, index: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Where these rows are stored."""
        _check_rows(index, self.shape[0])
        return index if self.order is None else self.order[index]

    def write_rows(self, start: int, stop: int, out: Tensor) -> None:
        """Dequantise rows start … stop into `out` [≥ stop - start, columns], contiguous float32 or bfloat16."""
        _write(self, self.stored(np.arange(start, stop)), out)

    def rows(self, start: int, stop: int, dtype: torch.dtype) -> Tensor:
        """Rows start … stop, [stop - start, columns]."""
        out = torch.empty(stop - start, self.shape[1], dtype=dtype)
        self.write_rows(start, stop, out)
        return out

    def gather(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Rows by int64 index [n] → [n, columns]."""
        out = torch.empty(len(index), self.shape[1], dtype=dtype)
        _write(self, self.stored(index.numpy()), out)
        return out

    def dense(self, dtype: torch.dtype) -> Tensor:
        """All of it."""
        return self.rows(0, self.shape[0], dtype)

    def with_numbers(self, dtype: torch.dtype) -> Self:
        """The same, dequantised once and for all."""
        return replace(self, unpacked=self.dense(dtype))


def _write(matrix: PackedMatrix, index: np.ndarray[Any, np.dtype[np.int64]], out: Tensor) -> None:
    _check(matrix, index, out)
    target = as_array(out)
    # mapped files are read-only, arrays made in memory are not: of one type, the kernels are compiled once
    blocks = matrix.blocks.view()
    blocks.flags.writeable = False

    unpack = fast.FORMATS[matrix.kind.name]

    def part(begin: int, end: int) -> None:
        unpack(blocks, index[begin:end], _half_table(), target[begin:end])

    spread(part, len(index), max(1, ELEMENTS_PER_THREAD // target.shape[1]))


def _check(matrix: PackedMatrix, index: np.ndarray[Any, np.dtype[np.int64]], out: Tensor) -> None:
    """Compiled code checks no bounds: what it would read or write outside of is refused here."""
    if out.dtype not in (torch.float32, torch.bfloat16):
        raise TypeError(f"weights are dequantised to float32 or bfloat16, not {out.dtype}")
    if matrix.kind.name not in SUPPORTED:
        raise TypeError(f"no kernel for {matrix.kind.name}")
    _check_rows(index, len(matrix.blocks))
    if not out.is_contiguous() or len(out) < len(index) or out.shape[1:] != matrix.shape[1:]:
        raise ValueError(f"{len(index)} rows of {matrix.shape[1]} do not go into {tuple(out.shape)}, contiguous")


def _check_rows(index: np.ndarray[Any, np.dtype[np.int64]], rows: int) -> None:
    if index.size and not 0 <= index.min() <= index.max() < rows:
        raise IndexError(f"rows {index.min()} to {index.max()} of a matrix of {rows}")


@cache
def _half_table() -> np.ndarray[Any, np.dtype[np.float32]]:
    """The value of every float16; one that is not a number has zeros in the lower half of its bits."""
    values = np.arange(65_536, dtype=np.uint16).view(np.float16).astype(np.float32)
    values[np.isnan(values)] = np.nan
    return values
