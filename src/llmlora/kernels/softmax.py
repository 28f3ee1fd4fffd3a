"""Attention scores into probabilities, and back into gradients, as compiled loops for CPUs.

A row of scores is what one query of one head has with the keys of its block. The keys it does not see are written as
zeros without being computed, so the causal half of a square costs half.
"""

import numpy as np

from llmlora.kernels.compiled import compiled_in_lanes
from llmlora.kernels.lines import normalise, softly_cap

# columns of the table of blocks: where the block's scores begin and where its rows do, its keys, its queries, and the
# place of the first query among the keys
START, FIRST_ROW, KEYS, QUERIES, PLACE = range(5)


@compiled_in_lanes
def softmax(scores, table, how, begin, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Rows `begin` … `end` of `scores` float32 [numbers], block after block as `table` says, become probabilities.

    `how`: the scale of the scores, the window (0: none) and the cap (0: none) as float32.
    """
    line, bits = np.empty(table[:, KEYS].max(), np.float32), np.empty(table[:, KEYS].max(), np.int32)
    block = 0
    for row in range(begin, end):
        while block + 1 < len(table) and table[block + 1, FIRST_ROW] <= row:
            block += 1
        s, first, last = _row(scores, table[block], row, how[1])
        _probabilities(s, first, last, how, line, bits)


@compiled_in_lanes
def softmax_gradient(scores, upstream, table, how, begin, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """As `softmax`; and `upstream`, the gradient of the probabilities, becomes that of the scores."""
    line, bits = np.empty(table[:, KEYS].max(), np.float32), np.empty(table[:, KEYS].max(), np.int32)
    block = 0
    for row in range(begin, end):
        while block + 1 < len(table) and table[block + 1, FIRST_ROW] <= row:
            block += 1
        s, first, last = _row(scores, table[block], row, how[1])
        g, _, _ = _row(upstream, table[block], row, how[1])
        _probabilities(s, first, last, how, line, bits)
        _gradient(s, g, first, last, how, line)


@compiled_in_lanes
def _row(numbers, block, row, window):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """One row of a block, and which keys its query sees."""
    within = row - block[FIRST_ROW]
    start, place = block[START] + within * block[KEYS], block[PLACE] + within % block[QUERIES]
    first = max(np.int64(0), place - np.int64(window) + 1) if window > 0 else np.int64(0)
    return numbers[start : start + block[KEYS]], first, place + 1


@compiled_in_lanes
def _probabilities(s, first, last, how, line, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """A row of scores becomes probabilities; `line` keeps how steep its cap was."""
    s[:first] = 0
    s[last:] = 0
    x, scale = s[first:last], how[0]
    for j in range(x.size):
        x[j] *= scale
    if how[2] > 0:
        softly_cap(x, how[2], line, bits)
    normalise(x, bits)


@compiled_in_lanes
def _gradient(s, g, first, last, how, line):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """ds = scale · p · (dp − Σ p dp), times the steepness of the cap."""
    g[:first] = 0
    g[last:] = 0
    p, d, scale = s[first:last], g[first:last], how[0]
    mean = np.float32(0)
    for j in range(p.size):
        mean += p[j] * d[j]
    for j in range(p.size):
        d[j] = p[j] * (d[j] - mean) * scale
    if how[2] > 0:
        for j in range(p.size):
            d[j] *= line[j]
