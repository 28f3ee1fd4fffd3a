"""The block formats as compiled loops over rows, for CPUs. `reference` says what they compute; this says how fast.

One function per format turns a row of blocks into float32; the scales of a block are hoisted, the inner loops have fixed
lengths, and LLVM turns them into vector code for the processor at hand. A bfloat16 row is first made in a float32
line that stays in the first-level cache, then rounded once to nearest even, the way torch rounds.

Compiled with `nogil`: the caller splits rows over threads of its own. numba's `parallel=True` would bring a second OpenMP
runtime into the process, whose threads fight with torch's. Compiled code is cached on the disk beside this file.
Half-precision scales are looked up in a table of all 65,536 (numba has no float16 on CPUs).
"""

import numpy as np
from numba import njit

F32, F16, Q4_0, Q4_1, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K, BF16 = 0, 1, 2, 3, 6, 8, 12, 13, 14, 30


@njit(nogil=True, cache=True)
def rows_float32(kind, blocks, index, half, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """blocks uint8 [stored rows, row_bytes], index int64 [n], half float32 [65536] → out float32 [n, columns]."""
    for i in range(index.size):
        _row(kind, blocks[index[i]], half, out[i])


@njit(nogil=True, cache=True)
def rows_bfloat16(kind, blocks, index, half, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """As `rows_float32`, each weight rounded once; out uint16 [n, columns] holds the bits of bfloat16."""
    line = np.empty(out.shape[1], np.float32)
    bits = line.view(np.uint32)
    for i in range(index.size):
        _row(kind, blocks[index[i]], half, line)
        _round(bits, out[i])


@njit(nogil=True, cache=True)
def _round(bits, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for j in range(out.size):
        value = bits[j]
        rounded = (value + np.uint32(0x7FFF) + ((value >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        nan = (value & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
        out[j] = np.uint16(0x7FC0) if nan else np.uint16(rounded)


@njit(nogil=True, cache=True)
def _row(kind, row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901
    if kind == F32:
        line[:] = row.view(np.float32)
    elif kind == F16:
        _f16(row.view(np.uint16), half, line)
    elif kind == BF16:
        line.view(np.uint32)[:] = row.view(np.uint16).astype(np.uint32) << np.uint32(16)
    elif kind == Q4_0:
        _q4_0(row, half, line)
    elif kind == Q4_1:
        _q4_1(row, half, line)
    elif kind == Q5_0:
        _q5_0(row, half, line)
    elif kind == Q8_0:
        _q8_0(row, half, line)
    elif kind == Q4_K:
        _q4_k(row, half, line)
    elif kind == Q5_K:
        _q5_k(row, half, line)
    elif kind == Q6_K:
        _q6_k(row, half, line)


@njit(nogil=True, cache=True)
def _half(row, at, half):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return half[np.int64(row[at]) | np.int64(row[at + 1]) << 8]


@njit(nogil=True, cache=True)
def _f16(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for j in range(line.size):
        line[j] = half[row[j]]


@njit(nogil=True, cache=True)
def _q4_0(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for block in range(line.size // 32):
        at, to = block * 18, block * 32
        d, q, w = _half(row, at, half), row[at + 2 : at + 18], line[to : to + 32]
        for j in range(16):
            w[j] = d * np.float32(np.int32(q[j] & 15) - 8)
        for j in range(16):
            w[16 + j] = d * np.float32(np.int32(q[j] >> 4) - 8)


@njit(nogil=True, cache=True)
def _q4_1(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for block in range(line.size // 32):
        at, to = block * 20, block * 32
        d, m = _half(row, at, half), _half(row, at + 2, half)
        q, w = row[at + 4 : at + 20], line[to : to + 32]
        for j in range(16):
            w[j] = d * np.float32(np.int32(q[j] & 15)) + m
        for j in range(16):
            w[16 + j] = d * np.float32(np.int32(q[j] >> 4)) + m


@njit(nogil=True, cache=True)
def _q5_0(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for block in range(line.size // 32):
        at, to = block * 22, block * 32
        d, high = _half(row, at, half), np.uint32(0)
        for j in range(4):
            high |= np.uint32(row[at + 2 + j]) << np.uint32(8 * j)
        q, w = row[at + 6 : at + 22], line[to : to + 32]
        for j in range(16):
            bit = np.int32((high >> np.uint32(j)) & np.uint32(1)) << 4
            w[j] = d * np.float32((np.int32(q[j] & 15) | bit) - 16)
        for j in range(16):
            bit = np.int32((high >> np.uint32(j + 16)) & np.uint32(1)) << 4
            w[16 + j] = d * np.float32((np.int32(q[j] >> 4) | bit) - 16)


@njit(nogil=True, cache=True)
def _q8_0(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    signed = row.view(np.int8)
    for block in range(line.size // 32):
        at, to = block * 34, block * 32
        d, q, w = _half(row, at, half), signed[at + 2 : at + 34], line[to : to + 32]
        for j in range(32):
            w[j] = d * np.float32(np.int32(q[j]))


@njit(nogil=True, cache=True)
def _k_scale(scales, group):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The 6-bit scale and minimum of one of the 8 groups."""
    if group < 4:
        return np.int32(scales[group] & 63), np.int32(scales[group + 4] & 63)
    high = scales[group + 4]
    return (
        np.int32(high & 15) | np.int32(scales[group - 4] >> 6) << 4,
        np.int32(high >> 4) | np.int32(scales[group] >> 6) << 4,
    )


@njit(nogil=True, cache=True)
def _q4_k(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for block in range(line.size // 256):
        at, to = block * 144, block * 256
        d, m, scales = _half(row, at, half), _half(row, at + 2, half), row[at + 4 : at + 16]
        for pair in range(4):
            q, w = row[at + 16 + 32 * pair : at + 48 + 32 * pair], line[to + 64 * pair : to + 64 * pair + 64]
            s0, t0 = _k_scale(scales, 2 * pair)
            s1, t1 = _k_scale(scales, 2 * pair + 1)
            d0, m0, d1, m1 = d * np.float32(s0), m * np.float32(t0), d * np.float32(s1), m * np.float32(t1)
            for j in range(32):
                w[j] = d0 * np.float32(np.int32(q[j] & 15)) - m0
            for j in range(32):
                w[32 + j] = d1 * np.float32(np.int32(q[j] >> 4)) - m1


@njit(nogil=True, cache=True)
def _q5_k(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for block in range(line.size // 256):
        at, to = block * 176, block * 256
        d, m, scales = _half(row, at, half), _half(row, at + 2, half), row[at + 4 : at + 16]
        high = row[at + 16 : at + 48]
        for pair in range(4):
            q, w = row[at + 48 + 32 * pair : at + 80 + 32 * pair], line[to + 64 * pair : to + 64 * pair + 64]
            s0, t0 = _k_scale(scales, 2 * pair)
            s1, t1 = _k_scale(scales, 2 * pair + 1)
            d0, m0, d1, m1 = d * np.float32(s0), m * np.float32(t0), d * np.float32(s1), m * np.float32(t1)
            for j in range(32):
                bit = np.int32((high[j] >> (2 * pair)) & 1) << 4
                w[j] = d0 * np.float32(np.int32(q[j] & 15) | bit) - m0
            for j in range(32):
                bit = np.int32((high[j] >> (2 * pair + 1)) & 1) << 4
                w[32 + j] = d1 * np.float32(np.int32(q[j] >> 4) | bit) - m1


@njit(nogil=True, cache=True)
def _q6_k(row, half, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    signed = row.view(np.int8)
    for block in range(line.size // 256):
        at, to = block * 210, block * 256
        d = _half(row, at + 208, half)
        for part in range(8):  # 32 weights: a quarter of one half of the block
            side, quarter = part // 4, part % 4
            low = row[at + 64 * side + 32 * (quarter % 2) : at + 64 * side + 32 * (quarter % 2) + 32]
            high = row[at + 128 + 32 * side : at + 160 + 32 * side]
            w, shift, nibble = line[to + 32 * part : to + 32 * part + 32], 2 * quarter, 4 * (quarter // 2)
            s0 = d * np.float32(np.int32(signed[at + 192 + 2 * part]))
            s1 = d * np.float32(np.int32(signed[at + 193 + 2 * part]))
            for j in range(16):
                q = np.int32((low[j] >> nibble) & 15) | np.int32((high[j] >> shift) & 3) << 4
                w[j] = s0 * np.float32(q - 32)
            for j in range(16, 32):
                q = np.int32((low[j] >> nibble) & 15) | np.int32((high[j] >> shift) & 3) << 4
                w[j] = s1 * np.float32(q - 32)
