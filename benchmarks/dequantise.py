"""How fast blocks become numbers: llmlora's kernels and gguf-py's, in the same run, for every type.

    python benchmarks/dequantise.py

The matrix is one tile of `packed_linear`; the best of several passes counts, after one that compiles and warms up.
gguf-py is NumPy on one core and knows float32 alone.
"""

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
ROWS = TILE_WEIGHTS // COLUMNS


def main() -> None:
    cores = torch.get_num_threads()
    print(f"G elements/s, {ROWS} x {COLUMNS} weights; ratio: ours on one core to gguf-py, both float32")
    print(f"{'':7}{'one core':>20}{f'{cores} cores':>20}{'gguf-py':>10}")
    print(f"{'type':7}{'float32':>10}{'bfloat16':>10}{'float32':>10}{'bfloat16':>10}{'float32':>10}{'ratio':>8}")
    for name in SUPPORTED:
        blocks = _blocks(name)
        ours = [
            _ours(PackedMatrix(blocks, BY_NAME[name]), dtype, threads)
            for threads in (1, cores)
            for dtype in (torch.float32, torch.bfloat16)
        ]
        line = f"{name:7}" + "".join(f"{speed:10.2f}" for speed in ours)
        if name != "F32":  # of which gguf-py returns a view
            theirs = _theirs(blocks, name)
            line += f"{theirs:10.2f}{ours[0] / theirs:8.1f}"
        print(line)


def _blocks(name: str) -> np.ndarray:
    """Random bytes whose float16 scales and floats are all small and finite."""
    row_bytes = BY_NAME[name].row_bytes(COLUMNS)
    return np.random.default_rng(0).integers(0, 0x3C, (ROWS, row_bytes), dtype=np.uint8)


def _ours(matrix: PackedMatrix, dtype: torch.dtype, threads: int) -> float:
    torch.set_num_threads(threads)
    out = torch.empty(matrix.shape, dtype=dtype)
    return _speed(lambda: matrix.write_rows(0, ROWS, out), passes=20)


def _theirs(blocks: np.ndarray, name: str) -> float:
    kind = gguf.GGMLQuantizationType[name]
    with np.errstate(over="ignore"):
        return _speed(lambda: gguf.quants.dequantize(blocks, kind), passes=3)


def _speed(work: Callable[[], object], passes: int) -> float:
    """Billions of weights a second in the best pass."""
    work()
    best = min(_seconds(work) for _ in range(passes))
    return ROWS * COLUMNS / best / 1e9


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
