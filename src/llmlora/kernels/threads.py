"""Compiled loops spread over threads of our own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor


def spread(loop: Callable[[int, int], object], count: int, least: int) -> None:
    """Call `loop(begin, end)` for parts of `count`, none smaller than `least`: one a thread, the first in the caller's.

    Handing a part to a thread takes 20 to 50 µs; `least` is what takes longer than that.
    """
    threads = min(torch.get_num_threads(), max(1, count // least))
    if threads == 1:
        loop(0, count)
        return
    cuts = [count * part // threads for part in range(threads + 1)]
    others = [_pool(threads - 1).submit(loop, cuts[part], cuts[part + 1]) for part in range(1, threads)]
    loop(cuts[0], cuts[1])
    for other in others:
        other.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="kernels")


def as_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The memory of a contiguous float32 or bfloat16 tensor as compiled loops take it, bfloat16 as uint16."""
    return (tensor.detach().view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor.detach()).numpy()


def flat(tensor: Tensor) -> np.ndarray[Any, Any]:
    """As `as_array`, from its first number to its last, in the order they lie in memory; it may have gaps."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return as_array(tensor.as_strided((span,), (1,)))


def dense(tensor: Tensor) -> Tensor:
    """The same with the numbers of its last dimension one after the other."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()
