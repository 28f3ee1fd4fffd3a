"""Compiled loops spread over threads of our own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor


def spread(loop: Callable[[int, int], object], count: int, least: int) -> None:
    """Call `loop(begin, end)` for parts of `count`, one a thread, none smaller than `least`.

    The first part is done by the thread that calls. Handing a part to another takes 20 to 50 µs; `least` is what takes
    longer than that.
    """
    threads = min(torch.get_num_threads(), max(1, count // least))
    if threads == 1:
        loop(0, count)
        return
    cuts = [count * part // threads for part in range(threads + 1)]
    others = [_pool(threads).submit(loop, *cut) for cut in pairwise(cuts[1:])]
    loop(cuts[0], cuts[1])
    for other in others:
        other.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="kernels")


def as_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The memory of a contiguous float32 or bfloat16 tensor as compiled loops take it, bfloat16 as uint16."""
    return (tensor.detach().view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor.detach()).numpy()
