"""Who a runner is, so that others can tell whether it still lives.

An owner is written `host/boot/pid/start`: a process number alone may belong to somebody else by now, so the start of
the process and of the machine are part of the name.
"""

import os
import socket
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def me() -> str:
    """The name of this process as an owner."""
    return f"{_here()}/{os.getpid()}/{_start(os.getpid())}"


def is_gone(owner: str) -> bool | None:
    """Whether an owner on this machine is gone, or stopped for good; None for one on another machine.

    On one machine the process itself is asked: a clock that jumps must not take a job from a runner that lives.
    """
    place, _, rest = owner.rpartition("/")
    place, _, pid = place.rpartition("/")
    if place != _here() or not pid.isdecimal():
        return None
    try:
        if psutil.Process(int(pid)).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return True
        if psutil.Process(int(pid)).status() == psutil.STATUS_STOPPED:
            return None  # it may wake up; the lease decides
        return _start(int(pid)) != rest
    except psutil.NoSuchProcess:
        return True


def _here() -> str:
    boot = BOOT_ID.read_text("ascii").strip() if BOOT_ID.exists() else "-"
    return f"{socket.gethostname()}/{boot}"


def _start(pid: int) -> str:
    """When a process began, in a count that does not move when the clock is set."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except OSError:
        return str(round(psutil.Process(pid).create_time()))
