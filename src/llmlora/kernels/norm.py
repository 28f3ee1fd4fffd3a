"""RMSNorm, forward and backward, in one pass over a row each, on CPUs.

    y = w · x̂,  x̂ = x / √(mean x² + ε);      dx = (g − x̂ · mean(g · x̂)) / √(mean x² + ε),  g = w · dy

All in float32, rounded once at the end, as llama.cpp does; Transformers rounds x̂ before it is scaled. Only x is kept
for the backward pass. w is frozen.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llmlora.kernels.compiled import compiled_in_lanes
from llmlora.kernels.lines import ONE, read, write
from llmlora.kernels.threads import as_array, spread

NUMBERS_PER_THREAD = 131_072


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """x [..., n] float32 or bfloat16, weight float32 [n] → [..., n] in x's dtype."""
    if x.device.type != "cpu":
        return rms_norm_by_reference(x, weight, epsilon)
    y: Tensor = _Norm.apply(x, weight, epsilon)
    return y


def rms_norm_by_reference(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """The same in torch."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon) * weight).to(x.dtype)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        y = torch.empty_like(rows)
        ctx.save_for_backward(rows, weight)
        ctx.epsilon = epsilon
        given, scale, out = as_array(rows), weight.numpy(), as_array(y)
        least = max(1, NUMBERS_PER_THREAD // rows.shape[1])
        spread(lambda a, b: _forward(given[a:b], scale, np.float32(epsilon), out[a:b]), len(rows), least)
        return y.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (dy,), (rows, weight) = gradients, ctx.saved_tensors
        upstream, dx, epsilon = dy.reshape(rows.shape), torch.empty_like(rows), np.float32(ctx.epsilon)
        given, scale, above, out = as_array(rows), weight.numpy(), as_array(upstream), as_array(dx)
        least = max(1, NUMBERS_PER_THREAD // rows.shape[1])
        spread(lambda a, b: _backward(given[a:b], scale, epsilon, above[a:b], out[a:b]), len(rows), least)
        return dx.view(dy.shape), None, None


@compiled_in_lanes
def _forward(x, weight, epsilon, y):
    line = np.empty(weight.size, np.float32)
    for i in range(len(x)):
        read(x[i], line)
        share = _share(line, epsilon)
        for j in range(line.size):
            line[j] *= share * weight[j]
        write(line, y[i])


@compiled_in_lanes
def _backward(x, weight, epsilon, dy, dx):
    line, slope = np.empty(weight.size, np.float32), np.empty(weight.size, np.float32)
    for i in range(len(x)):
        read(x[i], line)
        read(dy[i], slope)
        share, along = _share(line, epsilon), np.float32(0)
        for j in range(line.size):
            slope[j] *= weight[j]
            along += slope[j] * line[j]
        along *= share * share / np.float32(line.size)
        for j in range(line.size):
            slope[j] = (slope[j] - line[j] * along) * share
        write(slope, dx[i])


@compiled_in_lanes
def _share(line, epsilon):
    """1 / √(mean x² + ε)."""
    total = np.float32(0)
    for j in range(line.size):
        total += line[j] * line[j]
    return ONE / np.sqrt(total / np.float32(line.size) + epsilon)
