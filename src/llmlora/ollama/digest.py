"""The one place where a digest of Ollama's becomes a path."""

import re
import stat
from pathlib import Path

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether `text` is `sha256:` and 64 lower-case hexadecimal digits, and nothing else."""
    return _DIGEST.fullmatch(text) is not None


def blob_path(store: Path, digest: str) -> Path:
    """The file in `store` that holds the bytes of `digest`.

    Raises:
        ValueError: not a digest, or what lies there is no regular file inside the store.
        FileNotFoundError: the store does not hold it.
        PermissionError: the store may not be read.
    """
    if not is_digest(digest):
        raise ValueError("its manifest names a file by something that is not a digest")
    path = store / "blobs" / digest.replace(":", "-")
    real = path.resolve(strict=True)
    if not real.is_relative_to(store.resolve()):
        raise ValueError(f"{path.name} is a link that leaves the store")
    if not stat.S_ISREG(real.stat().st_mode):
        raise ValueError(f"{path.name} is not a regular file")
    return path
