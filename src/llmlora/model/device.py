"""What this machine can do, measured: which number format is fast, how many threads, how much memory."""

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from llmlora.confine import allocation_limit
from llmlora.estimate import Dtype, Machine

DTYPES: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PROBE_SHAPE = (512, 1024, 1024)
PROBE_SECONDS = 0.05
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # mallopt(3)
GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def probe_machine(limit: int | None = None) -> Machine:
    """Cores, free memory, and the measured speed of a matrix product in each number format.

    bfloat16 is emulated on many CPUs, where it is slower by an order of magnitude: only a measurement tells. `limit` is
    how many bytes the process that trains may allocate, where it is another one than this.
    """
    cores = usable_cores()
    torch.set_num_threads(cores)
    speeds = {name: _product_speed(dtype) for name, dtype in DTYPES.items()}
    return Machine(
        threads=cores,
        free_memory=free_memory(),
        float32_flops=speeds["float32"],
        bfloat16_flops=speeds["bfloat16"],
        allocatable=min((most for most in (limit, allocation_limit()) if most is not None), default=None),
    )


def arrange_memory(*, kept: bool) -> None:
    """Tell the C library, where it is glibc, what to do with the memory of freed tensors: keep it for the next ones, or
    let blocks of a megabyte and more go back to the system.

    A step allocates the same tensors as the step before, and fresh pages cost a virtual machine more than the numbers
    written into them. But the heap does not fit an aligned block into the gap that one of the same size has left, so it
    grows with every block of a large model whose activations are computed again.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, 2**30 if kept else 2**20)
        library.mallopt(TRIM_THRESHOLD, 2**31 - 1 if kept else 2**17)


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count(logical=False) or 1


def free_memory() -> int:
    """Bytes this process could still take: of the machine, or of the control groups a container puts it in."""
    available: int = psutil.virtual_memory().available
    return min([available, *_free_in_groups(GROUPS, OWN_GROUP)])


def _free_in_groups(root: Path, own: Path) -> Iterator[int]:
    """What each of the limits of a process's control groups (version 2) leaves; pages of files can be taken back."""
    with suppress(OSError, StopIteration):
        lines = own.read_text("utf-8").splitlines()
        place = root / next(line for line in lines if line.startswith("0::"))[3:].strip("/")
        for group in (place, *place.parents):
            if not group.is_relative_to(root):
                return
            with suppress(OSError, ValueError):  # "max", and the root, which has none
                most, used = (int((group / f"memory.{what}").read_text("ascii")) for what in ("max", "current"))
                pages = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
                yield max(0, most - used + int(pages["file"]))


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
