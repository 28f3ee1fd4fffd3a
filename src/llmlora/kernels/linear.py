"""x Wᵀ with W in its blocks, and the gradient with respect to x.

W is dequantised into a scratch tile, used, and forgotten; nothing of it is kept for the backward pass, which makes the
tile again (torch's own `linear` would keep the dense W, and with it the memory of a dense model). The tile is cut along
the rows of W: forward, each tile gives its own columns of y; backward, each adds its share to dx, summed in float32.
Matrices of a small model fit into one tile, where both passes are a single product.

A tile is 4 Mi weights, 8 MB in bfloat16: large enough that the product runs at full speed, small enough that several
fit beside each other in a laptop's memory. It is allocated once a thread, because fresh pages cost more than the
numbers written into them.
"""

import threading
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from llmlora.kernels.dequantise import PackedMatrix

TILE_WEIGHTS = 4 * 2**20


def packed_linear(x: Tensor, weight: PackedMatrix, bias: Tensor | None = None) -> Tensor:
    """x [..., columns] float32 or bfloat16, weight [rows, columns] → [..., rows] in x's dtype, plus bias [rows].

    Differentiable with respect to x alone; weight and bias are frozen.
    """
    y: Tensor = _PackedLinear.apply(x.reshape(-1, x.shape[-1]), weight)  # type: ignore[no-untyped-call]  # torch's own
    y = y if bias is None else y + bias
    return y.reshape(*x.shape[:-1], -1)


class _PackedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: PackedMatrix) -> Tensor:
        ctx.weight = weight
        rows, tile = weight.shape[0], tile_rows(weight)
        if rows <= tile:
            return F.linear(x, _tile(weight, 0, rows, x.dtype))
        y = x.new_empty(len(x), rows)
        for start in range(0, rows, tile):
            stop = min(rows, start + tile)
            y[:, start:stop] = F.linear(x, _tile(weight, start, stop, x.dtype))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None]:
        (dy,), weight = gradients, ctx.weight
        if not ctx.needs_input_grad[0]:
            return None, None
        rows, tile = weight.shape[0], tile_rows(weight)
        if rows <= tile:
            return dy @ _tile(weight, 0, rows, dy.dtype), None
        dx = torch.zeros(len(dy), weight.shape[1], dtype=torch.float32)
        for start in range(0, rows, tile):
            stop = min(rows, start + tile)
            dx += dy[:, start:stop] @ _tile(weight, start, stop, dy.dtype)
        return dx.to(dy.dtype), None


def tile_rows(weight: PackedMatrix) -> int:
    """Rows of a matrix that fit into a tile, at least one."""
    return max(1, TILE_WEIGHTS // weight.shape[1])


def _tile(weight: PackedMatrix, start: int, stop: int, dtype: torch.dtype) -> Tensor:
    size = (stop - start) * weight.shape[1]
    tile = _scratch(threading.get_ident(), max(size, TILE_WEIGHTS), dtype)[:size].view(stop - start, -1)
    weight.write_rows(start, stop, tile)
    return tile


@cache
def _scratch(thread: int, size: int, dtype: torch.dtype) -> Tensor:  # noqa: ARG001 - a scratch of its own a thread
    return torch.empty(size, dtype=dtype)
