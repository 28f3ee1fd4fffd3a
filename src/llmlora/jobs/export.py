"""The body of an export job: the merged GGUF of a trained adapter, the one export that takes minutes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmlora.adapter import base_name_of
from llmlora.export.merged import kept_merged
from llmlora.model.source import resolve
from llmlora.paths import Home

SECONDS_BETWEEN = 0.25


def export(
    task: dict[str, Any], tell: Callable[[dict[str, Any]], None], stop: Callable[[], bool]
) -> dict[str, Any] | None:
    """Merge the adapter in `task["adapter"]` into its base, to `task["target"]`; None when it was interrupted."""
    adapter = Path(task["adapter"])
    base = resolve(base_name_of(adapter), Home(Path(task["home"])), [Path(store) for store in task["stores"]])
    told_at = 0.0

    def on_tensor(done: int, total: int) -> None:
        nonlocal told_at
        if stop():
            raise _Interrupted
        if time.monotonic() - told_at > SECONDS_BETWEEN or done == total:
            told_at = time.monotonic()
            tell({"event": "progress", "step": 0, "text": "merging", "done": done, "total": total})

    try:
        target, report = kept_merged(adapter, base, Path(task["target"]).parent, on_tensor)
    except _Interrupted:
        return None
    return {"file": target.name, "bytes": target.stat().st_size, "report": report.to_json()}


class _Interrupted(Exception):
    pass
