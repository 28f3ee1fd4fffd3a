"""Attention over rows packed end to end, forward and backward, on CPUs.

torch's own kernel computes all blocks of a square in lines of its own making, which takes several times as long for the
rows people train on: a hundred tokens, not thousands (`benchmarks/attention.py`). Here they are products:

    S = Q Kᵀ,  P = softmax(S),  O = P V;      dV = Pᵀ dO,  dP = dO Vᵀ,  dS = softmax'(dP),  dQ = dS K,  dK = dSᵀ Q

A head of a row is a task of its own (`attention_loops`). Its queries are taken 32 at a time, each block with the keys
up to its end (and from its window's beginning): a row costs little more than its causal half and never a square of its
length, and a block's scores stay in the cache. The products are those of `tiles`, in float32 whatever the dtype: scores
of 30 would be off by 0.1 in bfloat16.

Nothing but Q, K and V is kept for the backward pass, which makes S again. Query heads that share a key each have their
own dK and dV, which are added in one order in the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llmlora.kernels.attention_loops import backward, forward, gather
from llmlora.kernels.threads import dense, flat, spread

PAIRS_PER_THREAD = 16_384  # of a query and a key
NUMBERS_PER_THREAD = 131_072

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Form:
    """How scores become probabilities; a window and a cap of 0 are none."""

    scale: float
    window: int = 0
    cap: float = 0.0

    def array(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """As the kernels take it."""
        return np.array([self.scale, self.window, self.cap], np.float32)


def attend(query: Tensor, key: Tensor, value: Tensor, boundaries: Sequence[int], form: Form) -> Tensor:
    """query [heads, T, d], key and value [key heads, T, d] → [heads, T, d], float32 or bfloat16.

    `boundaries` (0, …, T) are the borders of the rows.
    """
    query, key, value = map(dense, (query, key, value))
    out: Tensor = _Attention.apply(query, key, value, tuple(boundaries), form)
    return out


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, boundaries: tuple[int, ...], form: Form) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.boundaries, ctx.form = boundaries, form
        heads, _, size = query.shape
        group, out, how = heads // len(key), _empty_like(query), form.array()
        (q, k, v), to, strides = map(flat, (query, key, value)), flat(out), _strides(query, key, value)
        tasks, pairs = _tasks(heads, boundaries)
        spread(
            lambda a, b: forward(q, k, v, strides, _part(tasks, pairs, a, b), heads, group, size, how, to),
            int(pairs[-1]),
            PAIRS_PER_THREAD,
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        upstream, (query, key, value), how = dense(gradients[0]), ctx.saved_tensors, ctx.form.array()
        heads, tokens, size = query.shape
        group, dq = heads // len(key), _empty_like(query)
        shares = [np.empty(query.numel(), np.float32) for _ in range(2)]
        given, strides = [flat(one) for one in (query, key, value, upstream)], _strides(query, key, value, upstream)
        to, (tasks, pairs) = flat(dq), _tasks(heads, ctx.boundaries)
        spread(
            lambda a, b: backward(*given, strides, _part(tasks, pairs, a, b), heads, group, size, how, to, *shares),
            int(pairs[-1]),
            PAIRS_PER_THREAD,
        )
        sums = [_empty_like(like) for like in (key, value)]
        for share, out in zip(shares, map(flat, sums), strict=True):
            least = max(1, NUMBERS_PER_THREAD // (group * size))
            spread(lambda a, b: gather(share, group, size, a, b, out), tokens * len(key), least)  # noqa: B023
        return dq, *sums, None, None


def _tasks(heads: int, boundaries: Sequence[int]) -> tuple[Integers, Integers]:
    """Heads of rows, see `attention_loops`; and how many pairs of tokens come before each and in all."""
    rows = np.array(list(pairwise(boundaries)), np.int64)
    numbers = np.tile(np.arange(heads), len(rows))
    tasks = np.concatenate((numbers[:, None], rows.repeat(heads, axis=0)), axis=1)
    return tasks, np.concatenate(([0], np.cumsum((tasks[:, 2] - tasks[:, 1]) ** 2)))


def _part(tasks: Integers, pairs: Integers, begin: int, end: int) -> Integers:
    """The tasks that begin within these pairs."""
    first, last = np.searchsorted(pairs[:-1], (begin, end))
    return tasks[first:last]


def _empty_like(heads: Tensor) -> Tensor:
    """An empty [heads, T, d] that lies as [T, heads, d], as the layers before and after have it."""
    return heads.new_empty(heads.shape[1], heads.shape[0], heads.shape[2]).transpose(0, 1)


def _strides(*parts: Tensor) -> Integers:
    return np.array([part.stride()[:2] for part in parts], np.int64)
