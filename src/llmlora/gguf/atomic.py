"""Files that are either whole or not there."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from llmlora.errors import DiskFull

MB = 2**20


@contextmanager
def replacing(path: Path, nbytes: int = 0) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and vanishes when it does not.

    It is written beside `path` under another name, synced, and renamed: a reader sees the old file or the new one.
    `nbytes` is the size it will have, where known, so that a disk too full is noticed before the first byte.

    Raises:
        DiskFull: no room for `nbytes`, or the disk filled up while writing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if nbytes > shutil.disk_usage(path.parent).free:
        raise _disk_full(path, nbytes)
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with staged.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(path, nbytes) from error
        raise
    finally:
        staged.unlink(missing_ok=True)


def _disk_full(path: Path, nbytes: int) -> DiskFull:
    return DiskFull(path, -(-nbytes // MB), shutil.disk_usage(path.parent).free // MB)


def _sync_directory(directory: Path) -> None:
    """Make the rename itself durable, where the platform lets a directory be synced."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
