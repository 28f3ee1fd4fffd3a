"""Attention of one row after the other, forward and backward, as compiled loops for CPUs; `attention` says how.

A task is one query head on one packed row; `tasks` int64 [n, 3] holds head, first token and end, those of one key head
on one row together. `q`, `k`, `v` and `up`, the gradient of the output, are flat float32 or bfloat16 (as uint16) with
the strides of heads and tokens in `strides` int64 [4, 2], in this order. What is written lies as [T, heads, size].
`how` float32 [3]: the scale of the scores, the window (0: none) and the cap (0: none).

All is float32 from the numbers that are read to those that are written, and every sum is taken in one order, whatever
the number of threads.
"""

import numpy as np

from llmlora.kernels.compiled import compiled_in_lanes
from llmlora.kernels.lines import NOTHING, ZERO, move, normalise, softly_cap, whole_vectors
from llmlora.kernels.tiles import COLUMNS, multiply, padded, take, take_panels, take_transposed
from llmlora.kernels.vectors import LANES, load, same, store, total

QUERIES = 32  # a block: together its queries see at most 31 keys more than one of them
GAP = 16  # numbers between rows of scores, lest those of a column fall on the same lines of the cache
HEAD, BEGIN, END = range(3)
Q, K, V, UP = range(4)


@compiled_in_lanes
def forward(q, k, v, strides, tasks, heads, group, size, how, out):
    """out: what each query takes of the values. `group` of the `heads` share a key head; `size` numbers a head."""
    width, most = padded(size), padded((tasks[:, END] - tasks[:, BEGIN]).max())
    row, panel = most + GAP, most * COLUMNS
    keys, values = np.empty(most * size, np.float32), np.empty(most * width, np.float32)
    queries, scores = np.empty(QUERIES * size, np.float32), np.empty(QUERIES * row, np.float32)
    taken, line = np.empty(QUERIES * width, np.float32), np.empty(QUERIES * row, np.float32)
    for number in range(len(tasks)):
        head, begin, count = tasks[number, HEAD], tasks[number, BEGIN], tasks[number, END] - tasks[number, BEGIN]
        if _has_other_keys(tasks, number, group):
            take_transposed(k, _start(strides, K, head // group, begin), strides[K, 1], count, size, keys)
            take_panels(v, _start(strides, V, head // group, begin), strides[V, 1], count, size, values, most)
        for block in range(0, count, QUERIES):
            end = min(count, block + QUERIES)
            first, last = _seen(block, end, how[1])
            taking, seen = end - block, last - first
            take(q, _start(strides, Q, head, begin + block), strides[Q, 1], taking, size, queries)
            multiply(queries, 0, size, 1, keys, first * size, COLUMNS * size, scores, 0, row, taking, size, seen, False)
            for i in range(taking):
                _probabilities(scores, i * row, seen, block + i - first, how, line)
            multiply(
                scores, 0, row, 1, values, first * COLUMNS, panel, taken, 0, width, taking, end - first, width, False
            )
            _put(taken, width, taking, begin + block, heads, head, size, out)


@compiled_in_lanes
def backward(q, k, v, up, strides, tasks, heads, group, size, how, dq, dk, dv):
    """`dq`, and for each query head its share of `dk` and `dv`, which are float32."""
    width, most = padded(size), padded((tasks[:, END] - tasks[:, BEGIN]).max())
    row, panel = most + GAP, most * COLUMNS
    keys, keys_across = np.zeros(most * width, np.float32), np.empty(most * size, np.float32)
    values_across = np.empty(most * size, np.float32)
    queries, queries_in_panels = np.empty(QUERIES * size, np.float32), np.empty(QUERIES * width, np.float32)
    slopes, slopes_in_panels = np.empty(QUERIES * size, np.float32), np.empty(QUERIES * width, np.float32)
    p, ds = np.empty(QUERIES * row, np.float32), np.empty(QUERIES * row, np.float32)
    key_sums, value_sums = np.empty(most * width, np.float32), np.empty(most * width, np.float32)
    taken, line = np.empty(QUERIES * width, np.float32), np.empty(QUERIES * row, np.float32)
    for number in range(len(tasks)):
        head, begin, count = tasks[number, HEAD], tasks[number, BEGIN], tasks[number, END] - tasks[number, BEGIN]
        if _has_other_keys(tasks, number, group):
            start, step = _start(strides, K, head // group, begin), strides[K, 1]
            take_panels(k, start, step, count, size, keys, most)
            take_transposed(k, start, step, count, size, keys_across)
            start = _start(strides, V, head // group, begin)
            take_transposed(v, start, strides[V, 1], count, size, values_across)
        key_sums[: count * width] = 0
        value_sums[: count * width] = 0
        for block in range(0, count, QUERIES):
            end = min(count, block + QUERIES)
            first, last = _seen(block, end, how[1])
            taking, seen, at = end - block, last - first, first * size
            start = _start(strides, Q, head, begin + block)
            take(q, start, strides[Q, 1], taking, size, queries)
            take_panels(q, start, strides[Q, 1], taking, size, queries_in_panels, QUERIES)
            start = _start(strides, UP, head, begin + block)
            take(up, start, strides[UP, 1], taking, size, slopes)
            take_panels(up, start, strides[UP, 1], taking, size, slopes_in_panels, QUERIES)
            multiply(queries, 0, size, 1, keys_across, at, COLUMNS * size, p, 0, row, taking, size, seen, False)
            multiply(slopes, 0, size, 1, values_across, at, COLUMNS * size, ds, 0, row, taking, size, seen, False)
            for i in range(taking):
                some, end_of_some = _probabilities(p, i * row, seen, block + i - first, how, line)
                _gradient(p, ds, i * row, seen, some, end_of_some, how, line)
            sums, block_panel = first * width, QUERIES * COLUMNS
            multiply(p, 0, 1, row, slopes_in_panels, 0, block_panel, value_sums, sums, width, seen, taking, width, True)
            multiply(ds, 0, 1, row, queries_in_panels, 0, block_panel, key_sums, sums, width, seen, taking, width, True)
            multiply(ds, 0, row, 1, keys, first * COLUMNS, panel, taken, 0, width, taking, end - first, width, False)
            _put(taken, width, taking, begin + block, heads, head, size, dq)
        _put(key_sums, width, count, begin, heads, head, size, dk)
        _put(value_sums, width, count, begin, heads, head, size, dv)


@compiled_in_lanes
def gather(shares, group, size, begin, end, out):
    """shares flat float32 [n, group, size] → their sums over the group, out flat [n, size], for begin … end of n."""
    line = np.empty(size, np.float32)
    for i in range(begin, end):
        line[:] = shares[i * group * size : (i * group + 1) * size]
        for member in range(1, group):
            share = shares[(i * group + member) * size : (i * group + member + 1) * size]
            for j in range(size):
                line[j] += share[j]
        move(line, 0, out, i * size, size)


@compiled_in_lanes
def _put(rows, width, count, token, heads, head, size, out):
    """The first `size` numbers of each of `count` rows → the place of a head, from a token on."""
    for i in range(count):
        move(rows, i * width, out, ((token + i) * heads + head) * size, size)


@compiled_in_lanes
def _has_other_keys(tasks, number, group):
    """Whether the task before worked with another key head or on another row."""
    same_row = number > 0 and tasks[number, BEGIN] == tasks[number - 1, BEGIN]
    return not (same_row and tasks[number, HEAD] // group == tasks[number - 1, HEAD] // group)


@compiled_in_lanes
def _start(strides, which, head, token):
    return head * strides[which, 0] + token * strides[which, 1]


@compiled_in_lanes
def _seen(begin, end, window):
    """The keys that some of the queries begin … end see, whole panels of them."""
    first = max(np.int64(0), begin - np.int64(window) + 1) if window > 0 else np.int64(0)
    return first // COLUMNS * COLUMNS, padded(end)


@compiled_in_lanes
def _probabilities(s, at, seen, place, how, line):
    """The `seen` scores from `at` become the probabilities of the query at `place`.

    Keys that it does not see get 0. `line` keeps how steep the cap of the others was. Returns where they begin and end,
    in whole vectors.
    """
    first = max(np.int64(0), place - np.int64(how[1]) + 1) if how[1] > 0 else np.int64(0)
    begin, end, scale = first // LANES * LANES, whole_vectors(place + 1), same(how[0])
    for j in range(begin, end, LANES):
        store(load(s, at + j) * scale, s, at + j)
    if how[2] > 0:
        softly_cap(s, at + begin, at + end, how[2], line)
    s[at + begin : at + first] = NOTHING
    s[at + place + 1 : at + end] = NOTHING
    normalise(s, at + begin, at + end)
    s[at : at + first] = 0
    s[at + place + 1 : at + seen] = 0
    return begin, end


@compiled_in_lanes
def _gradient(p, g, at, seen, begin, end, how, line):
    """ds = scale · p · (dp − Σ p dp), times the steepness of the cap; `g` has dp and gets ds."""
    g[at : at + begin] = 0
    g[at + end : at + seen] = 0
    along = same(ZERO)
    for j in range(at + begin, at + end, LANES):
        along = along + load(p, j) * load(g, j)
    mean, scale = same(total(along)), same(how[0])
    for j in range(at + begin, at + end, LANES):
        slope = load(p, j) * (load(g, j) - mean) * scale
        if how[2] > 0:
            slope = slope * load(line, j)
        store(slope, g, j)
