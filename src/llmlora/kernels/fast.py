"""The block formats as compiled loops over rows, for CPUs. `reference` says what they compute; this says how fast.

One function per format turns a row of blocks into float32. The scales of a block are hoisted, and the inner loops run
to `q.size`: a literal 16 would have LLVM unroll the loop before it looks for vectors, which costs half the speed or
more. A bfloat16 row is first made in a float32 line that stays in the first-level cache, then rounded once to nearest
even, the way torch rounds.

Half-precision scales are looked up in a table of all 65,536 (numba has no float16 on CPUs).
"""

import numpy as np

from llmlora.kernels.compiled import compiled
from llmlora.kernels.lines import write
from llmlora.kernels.reference import FP4, IQ4

F32, F16, BF16 = 0, 1, 30
Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL, MXFP4 = 2, 3, 6, 7, 8, 20, 39  # 32 weights a block
Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS = 10, 11, 12, 13, 14, 23  # 256 weights a block
IQ4_VALUES, FP4_VALUES = np.array(IQ4, np.float32), np.array(FP4, np.float32)


@compiled
def rows_float32(kind, blocks, index, half, out):
    """blocks uint8 [stored rows, row_bytes], index int64 [n], half float32 [65536] → out float32 [n, columns]."""
    for i in range(index.size):
        _row(kind, blocks[index[i]], half, out[i])


@compiled
def rows_bfloat16(kind, blocks, index, half, out):
    """As `rows_float32`, each weight rounded once; out uint16 [n, columns] holds the bits of bfloat16."""
    line = np.empty(out.shape[1], np.float32)
    for i in range(index.size):
        _row(kind, blocks[index[i]], half, line)
        write(line, out[i])


@compiled
def _row(kind, row, half, line):
    if kind == F32:
        line[:] = row.view(np.float32)
    elif kind == F16:
        _f16(row.view(np.uint16), line, line.view(np.uint32))
    elif kind == BF16:
        _bf16(row.view(np.uint16), line.view(np.uint32))
    else:
        _small_blocks(kind, row, half, line)
        _large_blocks(kind, row, half, line)


@compiled
def _small_blocks(kind, row, half, line):
    if kind == Q4_0:
        _q4_0(row, half, line)
    elif kind == Q4_1:
        _q4_1(row, half, line)
    elif kind == Q5_0:
        _q5_0(row, half, line)
    elif kind == Q5_1:
        _q5_1(row, half, line)
    elif kind == Q8_0:
        _q8_0(row, half, line)
    elif kind == IQ4_NL:
        _iq4_nl(row, half, line)
    elif kind == MXFP4:
        _mxfp4(row, line)


@compiled
def _large_blocks(kind, row, half, line):
    if kind == Q2_K:
        _q2_k(row, half, line)
    elif kind == Q3_K:
        _q3_k(row, half, line)
    elif kind == Q4_K:
        _q4_k(row, half, line)
    elif kind == Q5_K:
        _q5_k(row, half, line)
    elif kind == Q6_K:
        _q6_k(row, half, line)
    elif kind == IQ4_XS:
        _iq4_xs(row, half, line)


@compiled
def _half(row, at, half):
    return half[np.int64(row[at]) | np.int64(row[at + 1]) << 8]


@compiled
def _f16(row, line, bits):
    """Exponent and fraction move into their places in float32; a product with 2**112 corrects the bias of the exponent,
    subnormal numbers included. What comes out at 2**16 or above was infinite or not a number."""
    for j in range(row.size):
        value = np.uint32(row[j])
        bits[j] = (value & np.uint32(0x7FFF)) << np.uint32(13) | (value & np.uint32(0x8000)) << np.uint32(16)
    for j in range(row.size):
        line[j] *= np.float32(2.0**112)
    for j in range(row.size):
        if bits[j] & np.uint32(0x7FFFFFFF) >= np.uint32(0x47800000):
            bits[j] |= np.uint32(0x7F800000)


@compiled
def _bf16(row, bits):
    for j in range(row.size):
        bits[j] = np.uint32(row[j]) << np.uint32(16)


@compiled
def _q4_0(row, half, line):
    for block in range(line.size // 32):
        at, to = block * 18, block * 32
        d, q, w = _half(row, at, half), row[at + 2 : at + 18], line[to : to + 32]
        for j in range(q.size):
            w[j] = d * np.float32(np.int32(q[j] & 15) - 8)
            w[16 + j] = d * np.float32(np.int32(q[j] >> 4) - 8)


@compiled
def _q4_1(row, half, line):
    for block in range(line.size // 32):
        at, to = block * 20, block * 32
        d, m = _half(row, at, half), _half(row, at + 2, half)
        q, w = row[at + 4 : at + 20], line[to : to + 32]
        for j in range(q.size):
            w[j] = d * np.float32(q[j] & 15) + m
            w[16 + j] = d * np.float32(q[j] >> 4) + m


@compiled
def _word(row, at):
    bits = np.uint32(0)
    for j in range(4):
        bits |= np.uint32(row[at + j]) << np.uint32(8 * j)
    return bits


@compiled
def _q5_0(row, half, line):
    for block in range(line.size // 32):
        at, to = block * 22, block * 32
        d, high = _half(row, at, half), _word(row, at + 2)
        q, w = row[at + 6 : at + 22], line[to : to + 32]
        for j in range(q.size):
            bits = high >> np.uint32(j)
            w[j] = d * np.float32(np.int32(q[j] & 15 | (bits & 1) << 4) - 16)
            w[16 + j] = d * np.float32(np.int32(q[j] >> 4 | bits >> 12 & 16) - 16)


@compiled
def _q5_1(row, half, line):
    for block in range(line.size // 32):
        at, to = block * 24, block * 32
        d, m, high = _half(row, at, half), _half(row, at + 2, half), _word(row, at + 4)
        q, w = row[at + 8 : at + 24], line[to : to + 32]
        for j in range(q.size):
            bits = high >> np.uint32(j)
            w[j] = d * np.float32(q[j] & 15 | (bits & 1) << 4) + m
            w[16 + j] = d * np.float32(q[j] >> 4 | bits >> 12 & 16) + m


@compiled
def _q8_0(row, half, line):
    signed = row.view(np.int8)
    for block in range(line.size // 32):
        at, to = block * 34, block * 32
        d, q, w = _half(row, at, half), signed[at + 2 : at + 34], line[to : to + 32]
        for j in range(q.size):
            w[j] = d * np.float32(q[j])


@compiled
def _q2_k(row, half, line):
    """Half a block is four runs of 32 weights that share 32 bytes of `q`, two bits each; a scale is for 16."""
    for block in range(line.size // 256):
        d, m = _half(row, block * 84 + 80, half), _half(row, block * 84 + 82, half)
        for part in range(4):
            side, odd = part // 2, part % 2
            s = row[block * 84 + 8 * side + odd : block * 84 + 16]
            at, to = block * 84 + 16 + 32 * side + 16 * odd, block * 256 + 128 * side + 16 * odd
            d0, d1 = d * np.float32(s[0] & 15), d * np.float32(s[2] & 15)
            d2, d3 = d * np.float32(s[4] & 15), d * np.float32(s[6] & 15)
            m0, m1 = m * np.float32(s[0] >> 4), m * np.float32(s[2] >> 4)
            m2, m3 = m * np.float32(s[4] >> 4), m * np.float32(s[6] >> 4)
            q, w = row[at : at + 16], line[to : to + 112]
            for j in range(q.size):
                w[j] = d0 * np.float32(q[j] & 3) - m0
                w[32 + j] = d1 * np.float32(q[j] >> 2 & 3) - m1
                w[64 + j] = d2 * np.float32(q[j] >> 4 & 3) - m2
                w[96 + j] = d3 * np.float32(q[j] >> 6) - m3


@compiled
def _q3_scale(scales, group):
    """The 6-bit scale of one of the 16 groups, minus 32."""
    low, high = np.int32(scales[group % 8]), np.int32(scales[8 + group % 4])
    return np.float32((low >> 4 * (group // 8) & 15 | (high >> 2 * (group // 4) & 3) << 4) - 32)


@compiled
def _q3_k(row, half, line):
    """As `_q2_k`, each weight with a third bit from `high`, of which one byte serves all eight runs."""
    for block in range(line.size // 256):
        d, scales = _half(row, block * 110 + 108, half), row[block * 110 + 96 : block * 110 + 108]
        for part in range(4):
            side, odd = part // 2, part % 2
            group, bit = 8 * side + odd, 4 * side
            at, to = block * 110 + 32 + 32 * side + 16 * odd, block * 256 + 128 * side + 16 * odd
            s0, s1 = d * _q3_scale(scales, group), d * _q3_scale(scales, group + 2)
            s2, s3 = d * _q3_scale(scales, group + 4), d * _q3_scale(scales, group + 6)
            q, high = row[at : at + 16], row[block * 110 + 16 * odd : block * 110 + 16 * odd + 16]
            w = line[to : to + 112]
            for j in range(q.size):
                h = high[j] >> bit
                w[j] = s0 * np.float32(np.int32(q[j] & 3 | (h & 1) << 2) - 4)
                w[32 + j] = s1 * np.float32(np.int32(q[j] >> 2 & 3 | (h & 2) << 1) - 4)
                w[64 + j] = s2 * np.float32(np.int32(q[j] >> 4 & 3 | h & 4) - 4)
                w[96 + j] = s3 * np.float32(np.int32(q[j] >> 6 | (h & 8) >> 1) - 4)


@compiled
def _k_scale(scales, group):
    """The 6-bit scale and minimum of one of the 8 groups."""
    if group < 4:
        return np.int32(scales[group] & 63), np.int32(scales[group + 4] & 63)
    high = scales[group + 4]
    return (
        np.int32(high & 15) | np.int32(scales[group - 4] >> 6) << 4,
        np.int32(high >> 4) | np.int32(scales[group] >> 6) << 4,
    )


@compiled
def _q4_k(row, half, line):
    for block in range(line.size // 256):
        at, to = block * 144, block * 256
        d, m, scales = _half(row, at, half), _half(row, at + 2, half), row[at + 4 : at + 16]
        for pair in range(4):
            q, w = row[at + 16 + 32 * pair : at + 48 + 32 * pair], line[to + 64 * pair : to + 64 * pair + 64]
            s0, t0 = _k_scale(scales, 2 * pair)
            s1, t1 = _k_scale(scales, 2 * pair + 1)
            d0, m0, d1, m1 = d * np.float32(s0), m * np.float32(t0), d * np.float32(s1), m * np.float32(t1)
            for j in range(q.size):
                w[j] = d0 * np.float32(q[j] & 15) - m0
                w[32 + j] = d1 * np.float32(q[j] >> 4) - m1


@compiled
def _q5_k(row, half, line):
    for block in range(line.size // 256):
        at, to = block * 176, block * 256
        d, m, scales = _half(row, at, half), _half(row, at + 2, half), row[at + 4 : at + 16]
        high = row[at + 16 : at + 48]
        for pair in range(4):
            q, w = row[at + 48 + 32 * pair : at + 80 + 32 * pair], line[to + 64 * pair : to + 64 * pair + 64]
            s0, t0 = _k_scale(scales, 2 * pair)
            s1, t1 = _k_scale(scales, 2 * pair + 1)
            d0, m0, d1, m1 = d * np.float32(s0), m * np.float32(t0), d * np.float32(s1), m * np.float32(t1)
            for j in range(q.size):
                bits = high[j] >> 2 * pair
                w[j] = d0 * np.float32(q[j] & 15 | (bits & 1) << 4) - m0
                w[32 + j] = d1 * np.float32(q[j] >> 4 | (bits & 2) << 3) - m1


@compiled
def _q6_k(row, half, line):
    """Half a block is four runs of 32 weights that share the bytes of `high`, two bits each; a scale is for 16."""
    signed = row.view(np.int8)
    for block in range(line.size // 256):
        d, scales = _half(row, block * 210 + 208, half), signed[block * 210 + 192 : block * 210 + 208]
        for part in range(4):
            side, odd = part // 2, part % 2
            at, to, s = block * 210 + 16 * odd, block * 256 + 128 * side + 16 * odd, scales[8 * side + odd :]
            low, high = row[at + 64 * side : at + 64 * side + 48], row[at + 128 + 32 * side : at + 144 + 32 * side]
            s0, s1, s2, s3 = d * np.float32(s[0]), d * np.float32(s[2]), d * np.float32(s[4]), d * np.float32(s[6])
            w = line[to : to + 112]
            for j in range(high.size):
                w[j] = s0 * np.float32(np.int32(low[j] & 15 | (high[j] & 3) << 4) - 32)
                w[32 + j] = s1 * np.float32(np.int32(low[32 + j] & 15 | (high[j] & 12) << 2) - 32)
                w[64 + j] = s2 * np.float32(np.int32(low[j] >> 4 | high[j] & 48) - 32)
                w[96 + j] = s3 * np.float32(np.int32(low[32 + j] >> 4 | (high[j] & 192) >> 2) - 32)


@compiled
def _steps(d, values, q, w):
    """16 bytes of codes into a table of 16 values → 32 weights."""
    for j in range(q.size):
        w[j] = d * values[q[j] & 15]
        w[16 + j] = d * values[q[j] >> 4]


@compiled
def _iq4_nl(row, half, line):
    for block in range(line.size // 32):
        at, to = block * 18, block * 32
        _steps(_half(row, at, half), IQ4_VALUES, row[at + 2 : at + 18], line[to : to + 32])


@compiled
def _iq4_xs(row, half, line):
    for block in range(line.size // 256):
        d, start = _half(row, block * 136, half), block * 136
        for group in range(8):
            at, to = start + 8 + 16 * group, block * 256 + 32 * group
            low, high = np.int32(row[start + 4 + group // 2]), np.int32(row[start + 2 + group // 4])
            scale = low >> 4 * (group % 2) & 15 | (high >> 2 * (group % 4) & 3) << 4
            _steps(d * np.float32(scale - 32), IQ4_VALUES, row[at : at + 16], line[to : to + 32])


@compiled
def _mxfp4(row, line):
    """The scale is a bare exponent; an element of `line` serves to turn its bits into a number."""
    bits = line.view(np.uint32)
    for block in range(line.size // 32):
        at, to = block * 17, block * 32
        exponent = np.uint32(row[at])
        bits[to] = np.uint32(0x00200000) << exponent if exponent < 2 else (exponent - np.uint32(1)) << np.uint32(23)
        _steps(line[to], FP4_VALUES, row[at + 1 : at + 17], line[to : to + 32])
