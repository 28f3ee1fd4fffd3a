"""Directories that exist completely or not at all.

Everything is written into a staging directory beside the target, each file is flushed to the disk, a manifest with
the size and SHA-256 of every file is written last, and one rename makes the directory visible. A kill at any point
leaves the old state and some garbage that the next start sweeps.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmlora.errors import DiskFull

MANIFEST = "MANIFEST.json"
STAGING, TRASH = ".staging-", ".trash-"
RESERVE_BYTES = 16 * 2**20


def commit_directory(target: Path, facts: dict[str, Any], write: Callable[[Path], None]) -> None:
    """Make `target` hold what `write(staging)` writes, plus the manifest; an existing `target` is replaced.

    Raises:
        DiskFull: no room; `target` is as it was.
    """
    staging = target.parent / f"{STAGING}{target.name}"
    _remove(staging)
    with disk_full_as_error(target):
        staging.mkdir(parents=True)
        try:
            write(staging)
            _write_manifest(staging, facts)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        if target.exists():
            target.rename(target.parent / f"{TRASH}{target.name}")
        staging.rename(target)
        _sync(target.parent)
    _remove(target.parent / f"{TRASH}{target.name}")


def verified_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a committed directory whose every file is as it was written; None otherwise."""
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text("utf-8"))
        for name, entry in manifest["files"].items():
            if _entry(directory / name) != entry:
                return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return manifest


def sweep(directory: Path) -> None:
    """Remove what interrupted commits left in `directory`."""
    for leftover in [*directory.glob(f"{STAGING}*"), *directory.glob(f"{TRASH}*")]:
        _remove(leftover)


def remove_directory(directory: Path) -> None:
    """Delete a committed directory so that it is never seen half there."""
    trash = directory.parent / f"{TRASH}{directory.name}"
    _remove(trash)
    directory.rename(trash)
    _remove(trash)


def write_file(path: Path, text: str) -> None:
    """Write a small file completely or not at all."""
    part = path.with_name(f"{STAGING}{path.name}")
    with disk_full_as_error(path):
        part.write_text(text, "utf-8")
        _sync(part)
        part.replace(path)
        _sync(path.parent)


def need_room(path: Path, needed: int) -> None:
    """Check before writing `needed` bytes below `path`.

    Raises:
        DiskFull: there is less than 1.2 × that and a reserve.
    """
    free = shutil.disk_usage(path).free
    if free < needed * 1.2 + RESERVE_BYTES:
        raise DiskFull(path, needed // 2**20, free // 2**20)


@contextmanager
def disk_full_as_error(path: Path) -> Iterator[None]:
    """Say a full disk clearly, also when a library reports it as something else."""
    try:
        yield
    except Exception as error:
        free = shutil.disk_usage(path.parent).free
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or free < 2**20:
            raise DiskFull(path, 1, free // 2**20) from error
        raise


def _write_manifest(staging: Path, facts: dict[str, Any]) -> None:
    files = sorted(path for path in staging.iterdir() if path.is_file())
    for path in files:
        _sync(path)
    manifest = {**facts, "files": {path.name: _entry(path) for path in files}}
    (staging / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), "utf-8")
    _sync(staging / MANIFEST)
    _sync(staging)


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot flush a directory
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
