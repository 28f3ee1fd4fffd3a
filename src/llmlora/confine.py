"""What a child of ours does to itself before it touches what others have written. Windows knows no such limits."""

import sys
import time

MAPPED_BYTES = 2**30  # what an interpreter maps by itself, where it cannot be read off
STDERR_BYTES = 65536


def limit_memory(nbytes: int) -> None:
    """Let it map `nbytes` more than it has; beyond that, MemoryError."""
    used = MAPPED_BYTES
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - not on Windows

        with open("/proc/self/statm", encoding="ascii") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
    _limit("RLIMIT_AS", used + nbytes)


def limit_allocation(nbytes: int) -> None:
    """Let it allocate so much altogether: mapped files, such as a model's, do not count."""
    _limit("RLIMIT_DATA", nbytes)


def allocation_limit() -> int | None:
    """The most it may allocate, or None."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    most = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return None if most == resource.RLIM_INFINITY else most


def limit_time(seconds: int) -> None:
    """Let it compute for so much longer; then SIGXCPU ends it. May be called again."""
    _limit("RLIMIT_CPU", int(time.process_time()) + seconds, for_good=False)


def limit_files(opened: int) -> None:
    """Let it hold few files open, and write nothing but its last words."""
    _limit("RLIMIT_NOFILE", opened)
    _limit("RLIMIT_FSIZE", STDERR_BYTES)


def _limit(name: str, value: int, *, for_good: bool = True) -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    kind = getattr(resource, name)
    resource.setrlimit(kind, (value, value if for_good else resource.getrlimit(kind)[1]))
