"""Products of small float32 matrices within compiled loops, at nearly the peak of a core.

numba has no types for vectors, and LLVM finds none in a loop whose sums are to stay in registers. So the innermost step
is written in LLVM's own terms: `ROWS` × `COLUMNS` sums stay in registers while a row of b after the other is added to
them, each times one number of a. What is a vector of 16 numbers here becomes one register of AVX-512, two of AVX2 or
four of Arm's; the tile is as large as their registers allow.

The right side of a product lies in panels of `COLUMNS` columns, [columns / COLUMNS, depth, COLUMNS], so that the rows
of a tile follow each other in memory. The left side may lie in any way: its strides are given, and a transposed one
costs nothing.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils

from llmlora.kernels.compiled import compiled
from llmlora.kernels.lines import move
from llmlora.kernels.vectors import LANES, VECTOR, ZERO, instruction, load_one, spread

ROWS, COLUMNS = (8, 32) if get_host_cpu_features().get("avx512f") else (4, 16)


def _make_tile(*, adds: bool) -> Any:
    """An intrinsic that sets, or adds to, a tile of c: `ROWS` rows of a times one panel of b."""

    @instruction
    def tile(_, a, a_at, a_row, a_step, b, b_at, c, c_at, c_row, depth):
        def generate(context, builder, signature, values):
            a_, b_, c_ = (context.make_array(signature.args[n])(context, builder, values[n]).data for n in (0, 4, 6))
            _generate(builder, (a_, *values[1:4]), (b_, values[5]), (c_, *values[7:9]), values[9], adds)
            return context.get_dummy_value()

        index = types.intp
        return types.void(a, index, index, index, b, index, c, index, index, index), generate

    return tile


def _generate(builder: Any, a: Any, b: Any, c: Any, depth: Any, adds: bool) -> None:
    """`a`: numbers, start, strides of rows and of depth; `b`: numbers, start; `c`: numbers, start, stride of rows."""
    add = cgutils.get_or_insert_function(builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), "llvm.fma.v16f32")
    cells = [(row, lane) for row in range(ROWS) for lane in range(0, COLUMNS, LANES)]
    places = [_vector_at(builder, c[0], _place(builder, c[1], c[2], row, lane)) for row, lane in cells]
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in cells]
    for place, total in zip(places, sums, strict=True):
        builder.store(builder.load(place, align=4) if adds else ZERO, total)
    with cgutils.for_range(builder, depth) as loop:
        start = builder.add(b[1], builder.mul(loop.index, ir.Constant(loop.index.type, COLUMNS)))
        line = {
            lane: builder.load(_vector_at(builder, b[0], _place(builder, start, start, 0, lane)), align=4)
            for lane in range(0, COLUMNS, LANES)
        }
        first = builder.add(a[1], builder.mul(loop.index, a[3]))
        for (row, lane), total in zip(cells, sums, strict=True):
            number = builder.load(builder.gep(a[0], [_place(builder, first, a[2], row, 0)]))
            builder.store(builder.call(add, [spread(builder, number), line[lane], builder.load(total)]), total)
    for place, total in zip(places, sums, strict=True):
        builder.store(builder.load(total), place, align=4)


def _place(builder: Any, start: Any, stride: Any, row: int, lane: int) -> Any:
    """start + row · stride + lane"""
    moved = builder.add(start, builder.mul(stride, ir.Constant(stride.type, row)))
    return builder.add(moved, ir.Constant(start.type, lane))


def _vector_at(builder: Any, numbers: Any, place: Any) -> Any:
    return builder.bitcast(builder.gep(numbers, [place]), VECTOR.as_pointer())


_set_tile, _add_tile = _make_tile(adds=False), _make_tile(adds=True)


@compiled
def padded(count):
    """The next multiple of `COLUMNS`, which is one of `ROWS`."""
    return -(-count // COLUMNS) * COLUMNS


@compiled
def multiply(a, a_at, a_row, a_step, b, b_at, b_panel, c, c_at, c_row, rows, depth, columns, adds):
    """c = a b, or c += a b: a [rows, depth], b [depth, columns], c [rows, columns], all flat float32.

    a[i, k] is at `a_at + i · a_row + k · a_step`, c[i, j] at `c_at + i · c_row + j`; b begins at `b_at` in panels that
    are `b_panel` numbers apart. Rows are filled up to `ROWS`, columns to `COLUMNS`: a and c have to have room for them.
    """
    for j in range(0, columns, COLUMNS):
        for i in range(0, rows, ROWS):
            at, start, to = a_at + i * a_row, b_at + j // COLUMNS * b_panel, c_at + i * c_row + j
            if adds:
                _add_tile(a, at, a_row, a_step, b, start, c, to, c_row, depth)
            else:
                _set_tile(a, at, a_row, a_step, b, start, c, to, c_row, depth)


@compiled
def take(numbers, start, stride, count, size, rows):
    """`count` rows of `numbers`, float32 or bfloat16 (as uint16), `size` each and `stride` apart → rows float32."""
    for i in range(count):
        move(numbers, start + i * stride, rows, i * size, size)


@compiled
def take_panels(numbers, start, stride, count, size, panels, depth):
    """As `take`, as the right side [count, size] of a product, in panels of `depth` rows."""
    for i in range(count):
        for j in range(0, size, COLUMNS):
            move(numbers, start + i * stride + j, panels, j * depth + i * COLUMNS, min(COLUMNS, size - j))


@compiled
def take_transposed(numbers, start, stride, count, size, panels):
    """As `take`, transposed: the right side [size, count] of a product, in panels of `size` rows, filled up with 0."""
    for i in range(padded(count)):
        at, to = start + i * stride, i // COLUMNS * COLUMNS * size + i % COLUMNS
        for j in range(size):
            panels[to + j * COLUMNS] = load_one(numbers, at + j) if i < count else np.float32(0)
