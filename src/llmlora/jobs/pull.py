"""The body of a pull job: Ollama downloads a model, and we say how far it is."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from llmlora.ollama import client

SECONDS_BETWEEN = 0.25


def pull(
    task: dict[str, Any], tell: Callable[[dict[str, Any]], None], stop: Callable[[], bool]
) -> dict[str, Any] | None:
    """Download `task["model"]`; None when it was interrupted. Ollama keeps the parts it has: again is onwards."""
    told, told_at = "", 0.0
    with closing(client.pull(task["ollama_address"], task["model"])) as lines:
        for line in lines:
            if stop():
                return None
            if line.status != told or time.monotonic() - told_at > SECONDS_BETWEEN:
                told, told_at = line.status, time.monotonic()
                progress = {"text": told, "done": line.completed, "total": line.total}
                tell({"event": "progress", "step": 0, **progress})
    return {"model": task["model"]}
