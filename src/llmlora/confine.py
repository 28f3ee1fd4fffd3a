"""What a child of ours does to itself before it touches what others have written."""

import sys
import time

MAPPED_BYTES = 2**30  # what an interpreter maps by itself, where it cannot be read off
STDERR_BYTES = 65536


def limit_memory(nbytes: int) -> None:
    """Let it map `nbytes` more than it has; beyond that, MemoryError."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    used = MAPPED_BYTES
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + nbytes, used + nbytes))


def limit_time(seconds: int) -> None:
    """Let it compute for so much longer; then SIGXCPU ends it."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds, hard))


def limit_files(opened: int) -> None:
    """Let it hold few files open, and write nothing but its last words."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened, opened))
    resource.setrlimit(resource.RLIMIT_FSIZE, (STDERR_BYTES, STDERR_BYTES))
