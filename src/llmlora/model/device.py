"""What this machine can do, measured: which number format is fast, how many threads, how much memory."""

import ctypes
import os
import sys
import time
from typing import Literal

import psutil
import torch

from llmlora.plan import Machine

Dtype = Literal["float32", "bfloat16"]
DTYPES: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PROBE_SHAPE = (512, 1024, 1024)
PROBE_SECONDS = 0.05
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # mallopt(3)


def probe_machine() -> Machine:
    """Cores, free memory, and the measured speed of a matrix product in each number format.

    bfloat16 is emulated on many CPUs, where it is slower by an order of magnitude: only a measurement tells.
    """
    cores = usable_cores()
    torch.set_num_threads(cores)
    speeds = {name: _product_speed(dtype) for name, dtype in DTYPES.items()}
    return Machine(
        threads=cores,
        free_memory=psutil.virtual_memory().available,
        float32_flops=speeds["float32"],
        bfloat16_flops=speeds["bfloat16"],
    )


def keep_freed_memory() -> None:
    """Have the C library keep the memory of freed tensors for the next ones, instead of giving it back at once.

    A step allocates the same tensors as the step before, and fresh pages cost a virtual machine more than the numbers
    written into them. Only glibc does otherwise by itself.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(MMAP_THRESHOLD, 2**30)
        library.mallopt(TRIM_THRESHOLD, 2**31 - 1)


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count(logical=False) or 1


def _product_speed(dtype: torch.dtype) -> float:
    m, k, n = PROBE_SHAPE
    a, b = torch.ones(m, k, dtype=dtype), torch.ones(n, k, dtype=dtype)
    torch.nn.functional.linear(a, b)  # the first call sets up the library
    best, end = float("inf"), time.perf_counter() + PROBE_SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.nn.functional.linear(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * m * k * n / best
