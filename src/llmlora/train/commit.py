"""Directories that exist completely or not at all.

Everything is written into a staging directory beside the target, each file is flushed to the disk, a manifest with
the size and SHA-256 of every file is written last, and one rename makes the directory visible. A kill at any point
leaves the old state and some garbage that the next start sweeps.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmlora.files import full_disk_as_error, need_room, sync

MANIFEST = "MANIFEST.json"
STAGING, TRASH = ".staging-", ".trash-"
RESERVE_BYTES = 16 * 2**20


def commit_directory(target: Path, facts: dict[str, Any], nbytes: int, write: Callable[[Path], None]) -> None:
    """Make `target` hold what `write(staging)` writes, about `nbytes`, plus the manifest; an old `target` is replaced.

    Raises:
        DiskFull: no room for a fifth more than `nbytes` and a reserve; `target` is as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    need_room(target, nbytes + nbytes // 5 + RESERVE_BYTES)
    staging = target.parent / f"{STAGING}{target.name}"
    _remove(staging)
    with full_disk_as_error(target, nbytes):
        staging.mkdir()
        try:
            write(staging)
            _write_manifest(staging, facts)
        except BaseException:
            _remove(staging)
            raise
        if target.exists():
            remove_directory(target)
        staging.rename(target)
        sync(target.parent)


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


def _write_manifest(staging: Path, facts: dict[str, Any]) -> None:
    files = sorted(path for path in staging.iterdir() if path.is_file())
    for path in files:
        sync(path)
    manifest = {**facts, "files": {path.name: _entry(path) for path in files}}
    (staging / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), "utf-8")
    sync(staging / MANIFEST)
    sync(staging)


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
