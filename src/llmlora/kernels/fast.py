"""The block formats as compiled code, for CPUs. `reference` says what they compute; this says how fast.

One function per format turns rows of blocks into numbers, 16 weights a statement (`lanes`): it finds the codes of the
weights and their scale, and `put` multiplies and rounds. Each takes

    blocks uint8 [stored rows, row_bytes], index int64 [n], half float32 [65536] → out [n, columns]

where row i of `out` is the stored row index[i]; out is float32, or uint16 for the bits of bfloat16, to which weights
are rounded once, to nearest even. A format is compiled when it is met first, for each of the two, in half a second; the
result is kept on the disk.

`half` has the value of every float16 (numba knows none on CPUs), which is twice as fast as putting bits in place. No
not-a-number among them may have a bit set in its lower 16.
"""

from collections.abc import Callable

import numpy as np

from llmlora.kernels.compiled import compiled
from llmlora.kernels.lanes import load, load_bits, pick, put, put_plus
from llmlora.kernels.lines import read, write
from llmlora.kernels.reference import FP4, IQ4


@compiled
def _f32(blocks, index, half, out):
    for i in range(index.size):
        write(blocks[index[i]].view(np.float32), out[i])


@compiled
def _f16(blocks, index, half, out):
    """Exponent and fraction move into their places in float32; a product with 2**112 corrects the bias of the exponent,
    subnormal numbers included. What comes out at 2**16 or above was infinite or not a number."""
    line = np.empty(out.shape[1], np.float32)
    for i in range(index.size):
        row = blocks[index[i]].view(np.uint16)
        for j in range(row.size):
            value = np.uint32(row[j])
            moved = np.uint32(
                (value & np.uint32(0x7FFF)) << np.uint32(13) | (value & np.uint32(0x8000)) << np.uint32(16)
            )
            bits = np.float32(moved.view(np.float32) * np.float32(2.0**112)).view(np.uint32)
            special = np.uint32(0x7F800000) if bits & np.uint32(0x7FFFFFFF) >= np.uint32(0x47800000) else np.uint32(0)
            line[j] = np.uint32(bits | special).view(np.float32)
        write(line, out[i])


@compiled
def _bf16(blocks, index, half, out):
    for i in range(index.size):
        row = blocks[index[i]].view(np.uint16)
        if out.itemsize == 2:
            for j in range(row.size):
                out[i, j] = row[j]
        else:
            read(row, out[i])


@compiled
def _half(row, at, half):
    return half[np.int64(row[at]) | np.int64(row[at + 1]) << 8]


@compiled
def _q4_0(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 32):
            at, to = block * 18, block * 32
            d, q = _half(row, at, half), load(row, at + 2)
            put(line, to, (q & 15) - 8, d)
            put(line, to + 16, (q >> 4) - 8, d)


@compiled
def _q4_1(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 32):
            at, to = block * 20, block * 32
            d, m, q = _half(row, at, half), _half(row, at + 2, half), load(row, at + 4)
            put_plus(line, to, q & 15, d, m)
            put_plus(line, to + 16, q >> 4, d, m)


@compiled
def _q5_0(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 32):
            at, to = block * 22, block * 32
            d, q = _half(row, at, half), load(row, at + 6)
            put(line, to, (q & 15 | load_bits(row, at + 2) << 4) - 16, d)
            put(line, to + 16, (q >> 4 | load_bits(row, at + 4) << 4) - 16, d)


@compiled
def _q5_1(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 32):
            at, to = block * 24, block * 32
            d, m, q = _half(row, at, half), _half(row, at + 2, half), load(row, at + 8)
            put_plus(line, to, q & 15 | load_bits(row, at + 4) << 4, d, m)
            put_plus(line, to + 16, q >> 4 | load_bits(row, at + 6) << 4, d, m)


@compiled
def _q8_0(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 32):
            at, to = block * 34, block * 32
            d = _half(row, at, half)
            put(line, to, load(row, at + 2), d)
            put(line, to + 16, load(row, at + 18), d)


@compiled
def _q2_k(blocks, index, half, out):
    """Half a block is four runs of 32 weights that share 32 bytes of `q`, two bits each; a scale is for 16."""
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 256):
            at, to = block * 84, block * 256
            d, m = _half(row, at + 80, half), _half(row, at + 82, half)
            for part in range(4):
                side, odd = part // 2, part % 2
                q = load(row, at + 16 + 16 * part)
                for run in range(4):
                    group = 8 * side + 2 * run + odd
                    s = row[at + group]
                    put_plus(line, to + 16 * group, q >> 2 * run & 3, d * np.float32(s & 15), -(m * np.float32(s >> 4)))


@compiled
def _q3_scale(row, at, group):
    """The 6-bit scale of one of the 16 groups, minus 32."""
    low, high = np.int32(row[at + group % 8]), np.int32(row[at + 8 + group % 4])
    return np.float32((low >> 4 * (group // 8) & 15 | (high >> 2 * (group // 4) & 3) << 4) - 32)


@compiled
def _q3_k(blocks, index, half, out):
    """As `_q2_k`, each weight with a third bit from `high`, of which one byte serves all eight runs."""
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 256):
            at, to = block * 110, block * 256
            d = _half(row, at + 108, half)
            for part in range(4):
                side, odd = part // 2, part % 2
                high, q = load(row, at + 16 * odd), load(row, at + 32 + 16 * part)
                for run in range(4):
                    group = 8 * side + 2 * run + odd
                    code = q >> 2 * run & 3 | (high >> 4 * side + run & 1) << 2
                    put(line, to + 16 * group, code - 4, d * _q3_scale(row, at + 96, group))


@compiled
def _k_scale(row, at, group):
    """The 6-bit scale and minimum of one of the 8 groups."""
    if group < 4:
        return np.float32(row[at + group] & 63), np.float32(row[at + group + 4] & 63)
    high = row[at + group + 4]
    scale, minimum = high & 15 | row[at + group - 4] >> 6 << 4, high >> 4 | row[at + group] >> 6 << 4
    return np.float32(scale), np.float32(minimum)


@compiled
def _q4_k(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 256):
            at, to = block * 144, block * 256
            d, m = _half(row, at, half), _half(row, at + 2, half)
            for group in range(8):
                s, t = _k_scale(row, at + 4, group)
                for odd in range(2):
                    q = load(row, at + 16 + 32 * (group // 2) + 16 * odd) >> 4 * (group % 2) & 15
                    put_plus(line, to + 32 * group + 16 * odd, q, d * s, -(m * t))


@compiled
def _q5_k(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 256):
            at, to = block * 176, block * 256
            d, m = _half(row, at, half), _half(row, at + 2, half)
            for group in range(8):
                s, t = _k_scale(row, at + 4, group)
                for odd in range(2):
                    high = load(row, at + 16 + 16 * odd) >> group & 1
                    q = load(row, at + 48 + 32 * (group // 2) + 16 * odd) >> 4 * (group % 2) & 15
                    put_plus(line, to + 32 * group + 16 * odd, q | high << 4, d * s, -(m * t))


@compiled
def _q6_k(blocks, index, half, out):
    """Half a block is four runs of 32 weights that share the bytes of `high`, two bits each; a scale is for 16."""
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 256):
            at, to = block * 210, block * 256
            d = _half(row, at + 208, half)
            for group in range(16):
                side, run, odd = group // 8, group // 2 % 4, group % 2
                low = load(row, at + 64 * side + 32 * (run % 2) + 16 * odd) >> 4 * (run // 2) & 15
                high = load(row, at + 128 + 32 * side + 16 * odd) >> 2 * run & 3
                scale = d * np.float32(np.int8(row[at + 192 + group]))
                put(line, to + 16 * group, (low | high << 4) - 32, scale)


@compiled
def _steps(row, at, table, d, line, to):
    """16 bytes of codes into a table of 16 values → 32 weights."""
    q = load(row, at)
    put(line, to, pick(q & 15, table), d)
    put(line, to + 16, pick(q >> 4, table), d)


@compiled
def _iq4_nl(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 32):
            at, to = block * 18, block * 32
            _steps(row, at + 2, IQ4, _half(row, at, half), line, to)


@compiled
def _iq4_xs(blocks, index, half, out):
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 256):
            at, to = block * 136, block * 256
            d = _half(row, at, half)
            for group in range(8):
                low, high = np.int32(row[at + 4 + group // 2]), np.int32(row[at + 2 + group // 4])
                scale = (low >> 4 * (group % 2) & 15 | (high >> 2 * (group % 4) & 3) << 4) - 32
                _steps(row, at + 8 + 16 * group, IQ4, d * np.float32(scale), line, to + 32 * group)


@compiled
def _mxfp4(blocks, index, half, out):
    """The scale is a bare exponent; 2**-128 and 2**-127 have none, but a bit of their own."""
    for i in range(index.size):
        row, line = blocks[index[i]], out[i]
        for block in range(line.size // 32):
            at, to = block * 17, block * 32
            exponent = np.uint32(row[at])
            bits = np.uint32(0x00200000) << exponent if exponent < 2 else (exponent - np.uint32(1)) << np.uint32(23)
            _steps(row, at + 1, FP4, np.uint32(bits).view(np.float32), line, to)


FORMATS: dict[str, Callable[..., None]] = {
    "F32": _f32,
    "F16": _f16,
    "BF16": _bf16,
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q5_1": _q5_1,
    "Q8_0": _q8_0,
    "Q2_K": _q2_k,
    "Q3_K": _q3_k,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
    "IQ4_NL": _iq4_nl,
    "IQ4_XS": _iq4_xs,
    "MXFP4": _mxfp4,
}
