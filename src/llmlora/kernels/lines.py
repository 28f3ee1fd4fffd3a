"""Lines of float32 that stay in the first-level cache, and what compiled loops do with them.

bfloat16 arrives here as uint16, for numba has no such type: a number is widened when it is read into a line and rounded
once, to nearest even as torch rounds, when it is written.
"""

import numpy as np

from llmlora.kernels.compiled import compiled, compiled_in_lanes

LOG2_E, LN_2_HIGH, LN_2_LOW = np.float32(1.442695041), np.float32(0.693145752), np.float32(1.428606765e-6)
LEAST = np.float32(-87.0)  # below, eˣ is no normal float32
ROUND = np.float32(12582912.0)  # 1.5 · 2²³: added and taken away again, it leaves a whole number
ONE, HALF, THIRD, FOURTH, FIFTH, SIXTH = (np.float32(1 / n) for n in (1, 2, 6, 24, 120, 720))


@compiled
def read(numbers, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """numbers float32 or bfloat16 (as uint16) [n] → line float32 [n]."""
    if numbers.itemsize == 2:
        bits = line.view(np.uint32)
        for j in range(numbers.size):
            bits[j] = np.uint32(numbers[j]) << np.uint32(16)
    else:
        for j in range(numbers.size):
            line[j] = numbers[j]


@compiled
def rounded(number):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """A float32 → the bits of the bfloat16 nearest to it."""
    bits = np.float32(number).view(np.uint32)
    if bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
        return np.uint16(0x7FC0)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@compiled
def write(line, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """line float32 [n] → out float32 or bfloat16 (as uint16) [n]."""
    if out.itemsize == 2:
        for j in range(out.size):
            out[j] = rounded(line[j])
    else:
        for j in range(out.size):
            out[j] = line[j]


@compiled  # taking sums in parts, LLVM would at once take away again what is added to round
def exp(x, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """x float32 [n], at most 0, becomes its exponential; `bits` int32 [≥ n] is scratch.

    A polynomial, since LLVM makes vectors of one and not of a call to the C library: x = n ln 2 + r, |r| ≤ ln 2 / 2, eʳ
    by its series up to r⁶ / 720 (relative error below 2⁻²¹), and 2ⁿ by writing n into an exponent. Below -87, it is the
    exponential of that.
    """
    for j in range(x.size):
        t = max(x[j], LEAST)
        n = (t * LOG2_E + ROUND) - ROUND
        r = (t - n * LN_2_HIGH) - n * LN_2_LOW
        p = SIXTH * r + FIFTH
        p = p * r + FOURTH
        p = p * r + THIRD
        p = p * r + HALF
        p = p * r + ONE
        x[j] = p * r + ONE
        bits[j] = (np.int32(n) + np.int32(127)) << np.int32(23)
    power = bits.view(np.float32)
    for j in range(x.size):
        x[j] *= power[j]


@compiled
def softly_cap(x, cap, slope, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """x float32 [n] becomes cap · tanh(x / cap), of which `slope` [≥ n] gets the derivative; `bits` int32 is scratch.

    tanh y = (1 − e⁻²ʸ) / (1 + e⁻²ʸ) for y ≥ 0.
    """
    for j in range(x.size):
        slope[j] = -2 * abs(x[j]) / cap
    exp(slope[: x.size], bits)
    for j in range(x.size):
        tanh = (ONE - slope[j]) / (ONE + slope[j])
        x[j] = cap * tanh if x[j] > 0 else -cap * tanh
        slope[j] = ONE - tanh * tanh


@compiled_in_lanes
def normalise(x, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """x float32 [n] becomes softmax(x); returns ln Σ eˣ. `bits` int32 [≥ n] is scratch."""
    most = x[0]
    for j in range(x.size):
        most = max(most, x[j])
    for j in range(x.size):
        x[j] -= most
    exp(x, bits)
    total = np.float32(0)
    for j in range(x.size):
        total += x[j]
    share = ONE / total
    for j in range(x.size):
        x[j] *= share
    return np.log(np.float64(total)) + np.float64(most)
