"""Lines of float32 that stay in the first-level cache, and what compiled loops do with them.

bfloat16 arrives here as uint16, for numba has no such type: a number is widened when it is read into a line and rounded
once, to nearest even as torch rounds, when it is written.
"""

import numpy as np

from llmlora.kernels.compiled import compiled
from llmlora.kernels.vectors import (
    LANES,
    larger,
    largest,
    load,
    load_one,
    same,
    signed_as,
    store,
    store_one,
    total,
    two_to,
)

LOG2_E, LN_2_HIGH, LN_2_LOW = np.float32(1.442695041), np.float32(0.693145752), np.float32(1.428606765e-6)
LEAST = np.float32(-87.0)  # below, eˣ is no normal float32
ROUND = np.float32(12582912.0)  # 1.5 · 2²³: added and taken away again, it leaves a whole number
ZERO, NOTHING = np.float32(0), np.float32(-np.inf)
ONE, HALF, THIRD, FOURTH, FIFTH, SIXTH = (np.float32(1 / n) for n in (1, 2, 6, 24, 120, 720))


@compiled
def read(numbers, line):
    """numbers float32 or bfloat16 (as uint16) [n] → line float32 [≥ n]."""
    move(numbers, 0, line, 0, numbers.size)


@compiled
def write(line, out):
    """line float32 [≥ n] → out float32 or bfloat16 (as uint16) [n]."""
    move(line, 0, out, 0, out.size)


@compiled
def move(numbers, at, out, to, count):
    """`count` numbers from place `at` of a flat array to place `to` of another, each float32 or bfloat16."""
    whole = count - count % LANES
    for j in range(0, whole, LANES):
        store(load(numbers, at + j), out, to + j)
    for j in range(whole, count):
        store_one(load_one(numbers, at + j), out, to + j)


@compiled
def exp(v):
    """The exponentials of a vector of numbers, at most 88.

    v = n ln 2 + r, |r| ≤ ln 2 / 2; eʳ by its series up to r⁶ / 720 (relative error below 2⁻²¹), times 2ⁿ. Below -87, it
    is the exponential of that.
    """
    t = larger(v, same(LEAST))
    n = (t * same(LOG2_E) + same(ROUND)) - same(ROUND)
    r = (t - n * same(LN_2_HIGH)) - n * same(LN_2_LOW)
    p = same(SIXTH) * r + same(FIFTH)
    p = p * r + same(FOURTH)
    p = p * r + same(THIRD)
    p = p * r + same(HALF)
    p = p * r + same(ONE)
    return (p * r + same(ONE)) * two_to(n)


@compiled
def softly_cap(x, begin, end, cap, slope):
    """Numbers of x become cap · tanh(x / cap), and those of `slope` its derivative; whole vectors from begin to end.

    tanh y = (1 − e⁻²ʸ) / (1 + e⁻²ʸ) for y ≥ 0.
    """
    one, least = same(ONE), same(np.float32(-2) / cap)
    for j in range(begin, end, LANES):
        v = load(x, j)
        power = exp(larger(v, same(ZERO) - v) * least)
        tanh = (one - power) / (one + power)
        store(signed_as(same(cap) * tanh, v), x, j)
        store(one - tanh * tanh, slope, j)


@compiled
def normalise(x, begin, end):
    """Numbers of x become their softmax; whole vectors from begin to end. Returns ln Σ eˣ."""
    v = load(x, begin)
    for j in range(begin, end, LANES):
        v = larger(v, load(x, j))
    most, sums = largest(v), same(ZERO)
    for j in range(begin, end, LANES):
        power = exp(load(x, j) - same(most))
        store(power, x, j)
        sums = sums + power
    share = same(ONE / total(sums))
    for j in range(begin, end, LANES):
        store(load(x, j) * share, x, j)
    return np.log(np.float64(total(sums))) + np.float64(most)


@compiled
def whole_vectors(count):
    """The next multiple of what a vector holds."""
    return -(-count // LANES) * LANES
