"""How fast blocks become numbers: llmlora's kernels and gguf-py's, in the same run, for every type.

    python benchmarks/dequantise.py [TYPE ...]

The matrix is small enough for its numbers to stay in a second-level cache, as a part of a tile of `packed_linear` does; the best of
several passes counts, after one that compiles and warms up. gguf-py is NumPy on one core and knows float32 alone. A last column has
all cores write a whole tile, 8 MB of bfloat16.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

import gguf
from llmlora.ggml import BY_NAME
from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.linear import TILE_WEIGHTS
from llmlora.kernels.types import SUPPORTED

COLUMNS = 2048
ROWS = 128  # 0.5 MB of bfloat16


def main(names: list[str]) -> None:
    cores = torch.get_num_threads()
    print(f"G elements/s, {ROWS} x {COLUMNS} weights; ratio: ours to gguf-py, both float32 on one core")
    print(f"{'type':7}{'bfloat16':>10}{'float32':>10}{'gguf-py':>10}{'ratio':>8}{f'tile, {cores} cores':>16}")
    for name in names or SUPPORTED:
        blocks, tile = _blocks(name, ROWS), _blocks(name, TILE_WEIGHTS // COLUMNS)
        bfloat16, float32 = (_ours(blocks, name, dtype, 1) for dtype in (torch.bfloat16, torch.float32))
        theirs = _theirs(blocks, name) if name != "F32" else None  # of which gguf-py returns a view
        beside = f"{theirs:10.2f}{float32 / theirs:8.1f}" if theirs else " " * 18
        whole = _ours(tile, name, torch.bfloat16, cores)
        print(f"{name:7}{bfloat16:10.1f}{float32:10.1f}{beside}{whole:16.1f}")


def _blocks(name: str, rows: int) -> np.ndarray:
    """Random bytes whose float16 scales and floats are all small and finite."""
    row_bytes = BY_NAME[name].row_bytes(COLUMNS)
    return np.random.default_rng(0).integers(0, 0x3C, (rows, row_bytes), dtype=np.uint8)


def _ours(blocks: np.ndarray, name: str, dtype: torch.dtype, threads: int) -> float:
    torch.set_num_threads(threads)
    matrix = PackedMatrix(blocks, BY_NAME[name])
    out = torch.empty(matrix.shape, dtype=dtype)
    return _speed(lambda: matrix.write_rows(0, len(blocks), out), out.numel())


def _theirs(blocks: np.ndarray, name: str) -> float:
    kind = gguf.GGMLQuantizationType[name]
    with np.errstate(over="ignore"):
        return _speed(lambda: gguf.quants.dequantize(blocks, kind), len(blocks) * COLUMNS)


def _speed(work: Callable[[], object], weights: int) -> float:
    """Billions of weights a second in the best pass of a twentieth of a second."""
    work()
    best, until = float("inf"), time.perf_counter() + 0.05
    while (start := time.perf_counter()) < until:
        work()
        best = min(best, time.perf_counter() - start)
    return weights / best / 1e9


if __name__ == "__main__":
    main(sys.argv[1:])
