"""Attention over rows packed end to end, forward and backward, on CPUs.

torch's own kernel computes all blocks of a square in lines of its own making, which takes more than twice as long for
the rows people train on: a hundred tokens, not thousands (`benchmarks/attention.py`). Here they are products:

    S = Q Kᵀ,  P = softmax(S),  O = P V;      dV = Pᵀ dO,  dP = dO Vᵀ,  dS = softmax'(dP),  dQ = dS K,  dK = dSᵀ Q

The queries of the heads that share a key lie one below the other, [key heads, group · queries, d], so a product with
them is one of the batch, and keys are not repeated. Queries are taken in blocks of 128, each with the keys up to its
end (and from its window's beginning): a long row costs little more than its causal half and never a square of its
length. Blocks are put together until their scores fill 4 MB, for one call of the compiled `softmax`.

Nothing but Q, K and V is kept for the backward pass, which makes S again. S and dP are float32 whatever the dtype:
scores of 30 would be off by 0.1 in bfloat16. oneDNN makes them of bfloat16 numbers at nearly the speed of bfloat16
when it may round what it reads, which changes nothing, as it is rounded already.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llmlora.kernels.softmax import softmax, softmax_gradient
from llmlora.kernels.threads import spread

QUERIES, SCORES = 128, 2**20
ROWS_PER_THREAD = 256


@dataclass(frozen=True)
class Form:
    """How scores become probabilities; a window and a cap of 0 are none."""

    scale: float
    window: int = 0
    cap: float = 0.0

    def array(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """As the kernels take it."""
        return np.array([self.scale, self.window, self.cap], np.float32)


@dataclass(frozen=True)
class Block:
    """Queries start … stop of the packed tokens, and the keys first … stop that they see."""

    first: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Scores a head."""
        return (self.stop - self.start) * (self.stop - self.first)


def attend(query: Tensor, key: Tensor, value: Tensor, boundaries: Sequence[int], form: Form) -> Tensor:
    """query [heads, T, d], key and value [key heads, T, d] → [heads, T, d], float32 or bfloat16.

    `boundaries` (0, …, T) are the borders of the rows.
    """
    out: Tensor = _Attention.apply(query, key, value, tuple(boundaries), form)  # type: ignore[no-untyped-call]
    return out


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, boundaries: tuple[int, ...], form: Form) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.boundaries, ctx.form = boundaries, form
        out = _like(query)
        with _exact_products(query.dtype):
            for blocks in _chunks(boundaries, form.window, len(query)):
                scores = _Scores(blocks, query, key)
                scores.become_probabilities(form)
                for block, p in scores.each(query.dtype):
                    seen = value[:, block.first : block.stop]
                    out[:, block.start : block.stop] = torch.bmm(p, seen).view(len(query), -1, query.shape[2])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (upstream,), (query, key, value) = gradients, ctx.saved_tensors
        dq = _like(query)
        dk, dv = (torch.zeros(like.shape, dtype=torch.float32) for like in (key, value))
        with _exact_products(query.dtype):
            for blocks in _chunks(ctx.boundaries, ctx.form.window, len(query)):
                scores, slopes = _Scores(blocks, query, key), _Scores(blocks, upstream, value)
                scores.become_gradients(slopes, ctx.form)
                for (block, p), (_, ds) in zip(scores.each(query.dtype), slopes.each(query.dtype), strict=True):
                    queries, seen = slice(block.start, block.stop), slice(block.first, block.stop)
                    dv[:, seen] += torch.bmm(p.transpose(1, 2), _grouped(upstream[:, queries], len(key)))
                    dk[:, seen] += torch.bmm(ds.transpose(1, 2), _grouped(query[:, queries], len(key)))
                    dq[:, queries] = torch.bmm(ds, key[:, seen]).view(len(query), -1, query.shape[2])
        return dq, dk.to(key.dtype), dv.to(value.dtype), None, None


class _Scores:
    """The scores of some blocks, one after the other, each [key heads, group · queries, keys] in float32."""

    def __init__(self, blocks: Sequence[Block], query: Tensor, key: Tensor) -> None:
        self.blocks, self.heads, self.key_heads = blocks, len(query), len(key)
        self.numbers = torch.empty(sum(block.size for block in blocks) * self.heads)
        for block, part in zip(blocks, self._parts(self.numbers), strict=True):
            seen = key[:, block.first : block.stop].float()
            torch.bmm(_grouped(query[:, block.start : block.stop].float(), len(key)), seen.transpose(1, 2), out=part)

    def each(self, dtype: torch.dtype) -> Iterator[tuple[Block, Tensor]]:
        """The blocks with their numbers in `dtype`."""
        return zip(self.blocks, self._parts(self.numbers.to(dtype)), strict=True)

    def become_probabilities(self, form: Form) -> None:
        table, how, numbers = self._table(), form.array(), self.numbers.numpy()
        spread(lambda begin, end: softmax(numbers, table, how, begin, end), self._rows(), ROWS_PER_THREAD)

    def become_gradients(self, slopes: "_Scores", form: Form) -> None:
        """`slopes` become those of the scores, and the scores probabilities."""
        table, how, numbers, others = self._table(), form.array(), self.numbers.numpy(), slopes.numbers.numpy()
        spread(
            lambda begin, end: softmax_gradient(numbers, others, table, how, begin, end), self._rows(), ROWS_PER_THREAD
        )

    def _parts(self, numbers: Tensor) -> Iterator[Tensor]:
        start = 0
        for block in self.blocks:
            size = block.size * self.heads
            yield numbers[start : start + size].view(self.key_heads, -1, block.stop - block.first)
            start += size

    def _rows(self) -> int:
        return sum(block.stop - block.start for block in self.blocks) * self.heads

    def _table(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """See `softmax`."""
        lines, start, row = [], 0, 0
        for block in self.blocks:
            queries = block.stop - block.start
            lines.append((start, row, block.stop - block.first, queries, block.start - block.first))
            start, row = start + block.size * self.heads, row + queries * self.heads
        return np.array(lines, np.int64)


def _chunks(boundaries: Sequence[int], window: int, heads: int) -> Iterator[list[Block]]:
    """The blocks of all rows, as many at a time as `SCORES` allows, one at least."""
    chunk: list[Block] = []
    for begin, end in pairwise(boundaries):
        for start in range(begin, end, QUERIES):
            first = max(begin, start - window + 1) if window else begin
            block = Block(first, start, min(end, start + QUERIES))
            if chunk and (sum(one.size for one in chunk) + block.size) * heads > SCORES:
                yield chunk
                chunk = []
            chunk.append(block)
    if chunk:
        yield chunk


def _grouped(heads: Tensor, key_heads: int) -> Tensor:
    """[heads, n, d] → [key heads, group · n, d]."""
    return heads.reshape(key_heads, -1, heads.shape[2])


def _like(heads: Tensor) -> Tensor:
    """An empty [heads, T, d] that lies as [T, heads, d], as the layers before and after have it."""
    return heads.new_empty(heads.shape[1], heads.shape[0], heads.shape[2]).transpose(0, 1)


@contextmanager
def _exact_products(dtype: torch.dtype) -> Iterator[None]:
    """Where numbers are rounded to bfloat16 anyway, oneDNN may take them so from float32."""
    settings = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # made when torch is loaded
    before = settings.fp32_precision
    settings.fp32_precision = "bf16" if dtype == torch.bfloat16 else before
    try:
        yield
    finally:
        settings.fp32_precision = before
