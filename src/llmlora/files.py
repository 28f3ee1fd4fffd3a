"""Writing so that a file is whole or not there, and saying a full disk clearly."""

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
PART = ".part"  # the suffix of a file that is not whole yet


@contextmanager
def replacing(path: Path, nbytes: int = 0) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and vanishes when it does not.

    It is written beside `path` under another name, synced, and renamed: a reader sees the old file or the new one.
    `nbytes` is the size it will have, where known, so that a disk too full is noticed before the first byte.

    Raises:
        DiskFull: no room for `nbytes`, or the disk filled up while writing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    need_room(path, nbytes)
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        with full_disk_as_error(path, nbytes), staged.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
        sync(path.parent)
    finally:
        staged.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file completely or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def need_room(path: Path, nbytes: int) -> None:
    """Raises DiskFull when the disk of `path` has no room for `nbytes`."""
    if nbytes > shutil.disk_usage(path.parent).free:
        raise _disk_full(path, nbytes)


@contextmanager
def full_disk_as_error(path: Path, nbytes: int = MB) -> Iterator[None]:
    """Raise DiskFull for a full disk, also when a library reports it as something else."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or shutil.disk_usage(path.parent).free < MB:
            raise _disk_full(path, nbytes) from error
        raise


def sync(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    if path.is_dir() and os.name != "posix":
        return  # only POSIX lets a directory be flushed
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _disk_full(path: Path, nbytes: int) -> DiskFull:
    return DiskFull(path, -(-nbytes // MB), shutil.disk_usage(path.parent).free // MB)
