"""How fast attention of packed rows is, forward and backward, and how exact: ours beside torch's own on the same rows.

    python benchmarks/attention.py      rows of 128 tokens and one of 1,024, with the heads of SmolLM2-135M

Medians of processor time, interleaved, in bfloat16. The error is the distance of the gradients from float64, relative to their length.
"""

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from llmlora.kernels.attention import Form, attend

HEADS, KEY_HEADS, WIDTH, RUNS = 9, 3, 64, 21
SCALE = WIDTH**-0.5


def by_torch(query: Tensor, key: Tensor, value: Tensor, boundaries: tuple[int, ...]) -> Tensor:
    rows = []
    for a, b in pairwise(boundaries):
        part = (one[None, :, a:b] for one in (query, key, value))
        rows.append(F.scaled_dot_product_attention(*part, is_causal=True, scale=SCALE, enable_gqa=True)[0])
    return torch.cat(rows, dim=1)


def gradients(of: Callable[..., Tensor], given: list[Tensor], upstream: Tensor) -> tuple[Tensor, ...]:
    out = of(*given)
    return torch.autograd.grad(out, given, upstream.to(out.dtype))


def error(found: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> float:
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


def measure(boundaries: tuple[int, ...]) -> None:
    tokens, generator = boundaries[-1], torch.Generator().manual_seed(0)
    shapes = [(heads, tokens, WIDTH) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
    given = [torch.randn(shape, generator=generator).bfloat16().requires_grad_() for shape in shapes]
    upstream = torch.randn(shapes[0], generator=generator).bfloat16()
    ways = {
        "ours": lambda *parts: attend(*parts, boundaries, Form(SCALE)),
        "torch": lambda *parts: by_torch(*parts, boundaries),
    }
    exact = gradients(ways["torch"], [part.detach().double().requires_grad_() for part in given], upstream)
    errors = {name: error(gradients(way, given, upstream), exact) for name, way in ways.items()}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            began = time.process_time()
            gradients(way, given, upstream)
            took[name].append(time.process_time() - began)
    ours, theirs = median(took["ours"]), median(took["torch"])
    print(
        f"{len(boundaries) - 1} × {tokens // (len(boundaries) - 1)} tokens: {1000 * ours:.1f} ms, torch {1000 * theirs:.1f} ms, ratio {theirs / ours:.1f}; "
        f"error of the gradients {errors['ours']:.4f}, torch {errors['torch']:.4f}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure(tuple(range(0, 1025, 128)))
    measure((0, 1024))
