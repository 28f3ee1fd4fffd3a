"""How the loops of this directory are compiled.

`nogil`: the caller splits rows over threads of its own. numba's `parallel=True` would bring a second OpenMP runtime
into the process, whose threads fight with torch's. The code is kept on the disk beside its source, or, where no
directory can be written, in the process alone. numba looks whether the file of a function has changed, not whether one
has that it calls into; so the directory is named after all sources of this package.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

SOURCES = Path(__file__).parent
VERSION = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(SOURCES.glob("*.py")))).hexdigest()[:16]
config.CACHE_DIR = str(Path(config.CACHE_DIR or SOURCES / "__pycache__") / VERSION)  # type: ignore[attr-defined]

IN_LANES = {"reassoc", "nsz", "contract"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use; every sum is taken in the order it is written."""
    return _njit(function, fastmath=False)


def compiled_in_lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use; sums may be taken in parts, as vectors need it."""
    return _njit(function, fastmath=IN_LANES)


def _njit(function: Callable[..., Any], fastmath: Any) -> Callable[..., Any]:
    try:
        made: Callable[..., Any] = njit(nogil=True, cache=True, fastmath=fastmath)(function)
    except RuntimeError:
        made = njit(nogil=True, fastmath=fastmath)(function)
    return made
