"""x Wᵀ with W in its blocks, and the gradient with respect to x.

W is dequantised into a scratch tile, used, and forgotten; nothing of it is kept for the backward pass, which makes the
tile again (torch's own `linear` would keep the dense W, and with it the memory of a dense model). The tile is cut along
the rows of W: forward, each tile gives its own columns of y; backward, each adds its share to dx, summed in float32.
Matrices of a small model fit into one tile, where both passes are a single product.

The share of a tile in dx is rounded to x's dtype before it is added, as torch has no product of bfloat16 with a result
in float32 on CPUs. In bfloat16, dx of a cut matrix so has 1.4 times the rounding error of a single product (0.0024 of
its size instead of 0.0017, for 4 tiles as for 27). Tiles of columns would not, since each gives its own columns of dx;
but their blocks lie in short runs far from each other, and dequantising these makes the backward pass of a vocabulary
up to 4 times as slow (262,144 x 640 in Q8_0, one core: 785 ms instead of 190).

A tile is 4 Mi weights, 8 MB in bfloat16: large enough that the product runs at full speed, small enough that several
fit beside each other in a laptop's memory. It is allocated once a thread, because fresh pages cost more than the
numbers written into them.

On a CPU the tile is made by the compiled kernels; elsewhere by the reference, on that device. Where the plan has memory
for it, a matrix brings its numbers along, and nothing is made at all.
"""

import threading
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from llmlora.ggml import TensorType
from llmlora.kernels import reference
from llmlora.kernels.dequantise import PackedMatrix

TILE_WEIGHTS = 4 * 2**20


def packed_linear(x: Tensor, weight: PackedMatrix, bias: Tensor | None = None, tile_rows: int | None = None) -> Tensor:
    """x [..., columns] float32 or bfloat16, weight [rows, columns] → [..., rows] in x's dtype, plus bias [rows].

    `tile_rows` rows of the weight are dequantised at a time; None: as many as fit into a tile.
    Differentiable with respect to x alone; weight and bias are frozen.
    """
    y: Tensor = _PackedLinear.apply(x.reshape(-1, x.shape[-1]), weight, tile_rows)
    y = y if bias is None else y + bias
    return y.reshape(*x.shape[:-1], weight.shape[0])


def describe_dispatch(kind: TensorType, device: torch.device) -> str:
    """Which path dequantises `kind` on `device`, and why."""
    if _is_compiled(device):
        return f"{kind.name} on {device.type}: compiled kernels, the fast path of CPUs"
    return f"{kind.name} on {device.type}: the reference in torch, because the compiled kernels are for CPUs alone"


def packed_lora_linear(
    x: Tensor, weight: PackedMatrix, bias: Tensor | None, a: Tensor, b: Tensor, scaling: float
) -> Tensor:
    """x Wᵀ + bias + scaling · (x Aᵀ) Bᵀ: x [..., columns], a [rank, columns], b [rows, rank] → [..., rows].

    As `packed_linear`, and differentiable with respect to a and b. They are rounded to x's dtype in each pass. The thin
    products are added where the wide ones lie; only x and x Aᵀ are kept.
    """
    flat = x.reshape(-1, x.shape[-1])
    y: Tensor = _PackedLoraLinear.apply(flat, weight, bias, a, b, scaling)
    return y.reshape(*x.shape[:-1], weight.shape[0])


class _PackedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: PackedMatrix, step: int | None) -> Tensor:
        ctx.weight, ctx.step = weight, step or tile_rows(weight)
        return _product(x, weight, ctx.step)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        return _gradient(gradients[0], ctx.weight, ctx.step) if ctx.needs_input_grad[0] else None, None, None


class _PackedLoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: PackedMatrix, bias: Tensor | None, a: Tensor, b: Tensor, scaling: float
    ) -> Tensor:
        a, b = a.to(x.dtype), b.to(x.dtype)
        thin = x @ a.T
        y = _product(x, weight, tile_rows(weight))
        y = y if bias is None else y.add_(bias.to(y.dtype))
        ctx.weight, ctx.scaling = weight, scaling
        ctx.save_for_backward(x, thin, a, b)
        return y.addmm_(thin, b.T, alpha=scaling)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        (dy,), (x, thin, a, b) = gradients, ctx.saved_tensors
        slope = (dy @ b).mul_(ctx.scaling)
        da, db = slope.T @ x, (dy.T @ thin).mul_(ctx.scaling)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = _gradient(dy, ctx.weight, tile_rows(ctx.weight)).addmm_(slope, a)
        return dx, None, None, da.float(), db.float(), None


def _product(x: Tensor, weight: PackedMatrix, step: int) -> Tensor:
    """x Wᵀ, a tile of rows after the other."""
    if weight.unpacked is not None and weight.unpacked.dtype == x.dtype:
        return F.linear(x, weight.unpacked)
    rows = weight.shape[0]
    if rows <= step:
        return F.linear(x, _tile(weight, 0, rows, x))
    y = x.new_empty(len(x), rows)
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        y[:, start:stop] = F.linear(x, _tile(weight, start, stop, x))
    return y


def _gradient(dy: Tensor, weight: PackedMatrix, step: int) -> Tensor:
    """dy W, the sum of the tiles' shares."""
    if weight.unpacked is not None and weight.unpacked.dtype == dy.dtype:
        return dy @ weight.unpacked
    rows = weight.shape[0]
    if rows <= step:
        return dy @ _tile(weight, 0, rows, dy)
    dx = torch.zeros(len(dy), weight.shape[1], dtype=torch.float32, device=dy.device)
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        dx += dy[:, start:stop] @ _tile(weight, start, stop, dy)
    return dx.to(dy.dtype)


def squared_row_norms(weight: PackedMatrix, device: torch.device) -> Tensor:
    """‖w‖² of every row w of a packed matrix, float32 [rows]."""
    rows, step = weight.shape[0], tile_rows(weight)
    like, parts = torch.empty(0, device=device), []
    for start in range(0, rows, step):
        parts.append(_tile(weight, start, min(rows, start + step), like).square().sum(dim=1))
    return torch.cat(parts)


def tile_rows(weight: PackedMatrix) -> int:
    """Rows of a matrix that fit into a tile, at least one."""
    return max(1, TILE_WEIGHTS // weight.shape[1])


def _is_compiled(device: torch.device) -> bool:
    return device.type == "cpu"


def _tile(weight: PackedMatrix, start: int, stop: int, like: Tensor) -> Tensor:
    """Rows start … stop where `like` lives and in its dtype; on a CPU in a scratch that the next tile overwrites."""
    if not _is_compiled(like.device):
        return _tile_by_reference(weight, start, stop, like)
    size = (stop - start) * weight.shape[1]
    tile = _scratch(threading.get_ident(), max(size, TILE_WEIGHTS), like.dtype)[:size].view(stop - start, -1)
    weight.write_rows(start, stop, tile)
    return tile


def _tile_by_reference(weight: PackedMatrix, start: int, stop: int, like: Tensor) -> Tensor:
    copied = weight.blocks[weight.stored(np.arange(start, stop))]  # of a mapped file, which torch may not write into
    blocks = torch.from_numpy(copied)
    return reference.dequantise(blocks.to(like.device), weight.kind).to(like.dtype)


@cache
def _scratch(thread: int, size: int, dtype: torch.dtype) -> Tensor:
    return torch.empty(size, dtype=dtype)
