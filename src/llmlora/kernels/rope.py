"""Rotary position embedding in one pass, forward and backward, on CPUs.

    y₁ = x₁ cos − x₂ sin,  y₂ = x₂ cos + x₁ sin        x₁, x₂ the halves of a head

The gradient is the same turned back. All in float32, rounded once at the end, as llama.cpp does; Transformers rounds
each of the products.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llmlora.kernels.compiled import compiled
from llmlora.kernels.lines import move
from llmlora.kernels.threads import as_array, dense, flat, spread
from llmlora.kernels.vectors import LANES, load, same, store

NUMBERS_PER_THREAD = 131_072


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [heads, T, d] float32 or bfloat16, cos and sin [T, n], whose halves are alike → [heads, T, d] in x's dtype.

    The first n numbers of a head are turned.
    """
    if x.device.type != "cpu" or cos.shape[1] % (2 * LANES):
        return rotate_by_reference(x, cos, sin)
    turned: Tensor = _Rotation.apply(x, cos, sin)
    return turned


def rotate_by_reference(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The same in torch."""
    turned, rest = x[..., : cos.shape[1]], x[..., cos.shape[1] :]
    first, second = turned.float().chunk(2, dim=-1)
    return torch.cat(((turned * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype), rest), dim=-1)


class _Rotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        cos, sin = cos.contiguous(), sin.contiguous()
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(gradients[0], cos, sin, -1), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    heads, tokens, size = x.shape
    x = dense(x)
    out = x.new_empty(tokens, heads, size)  # as the layers before and after have it
    given, to, c, s = flat(x), flat(out), as_array(cos).reshape(-1), as_array(sin).reshape(-1)
    steps, way, turned = np.array(x.stride()[:2], np.int64), np.float32(direction), cos.shape[1]
    least = max(1, NUMBERS_PER_THREAD // (heads * size))
    spread(lambda a, b: _rows(given, steps, c, s, way, heads, size, turned, to, a, b), tokens, least)
    return out.transpose(0, 1)


@compiled
def _rows(x, steps, cos, sin, direction, heads, size, turned, out, begin, end):
    half = turned // 2
    for token in range(begin, end):
        for head in range(heads):
            at, to, table = head * steps[0] + token * steps[1], (token * heads + head) * size, token * turned
            for j in range(0, half, LANES):
                one, other = load(x, at + j), load(x, at + half + j)
                c, s = load(cos, table + j), load(sin, table + j) * same(direction)
                store(one * c - other * s, out, to + j)
                store(other * c + one * s, out, to + half + j)
            move(x, at + turned, out, to + turned, size - turned)
