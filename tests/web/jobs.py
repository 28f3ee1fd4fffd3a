"""Jobs that have not been run: their row and their events are put into the store, as a run would have left them."""

import json
import math
from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert

from llmlora.recipe import make_recipe
from llmlora.store import events
from llmlora.store.database import Database, new_id, take_numbers
from llmlora.store.events import Line
from llmlora.store.tables import job

BEGUN = 1_790_000_000.0
ELSEWHERE = {"owner": "elsewhere:1:x", "lease_until": 1e12}  # no runner of this machine takes it away
PAGE = 10_000


def put_job(database: Database, name: str, state: str, recipe: dict[str, Any] | None = None, **values: Any) -> str:
    """A training job in this state; returns its id."""
    asked = make_recipe({"model": "sample:smollm2-135m", "data": "rows.jsonl", **(recipe or {})})
    row = {
        "id": new_id(),
        "kind": "train",
        "name": name,
        "spec": {"recipe": asked.model_dump(mode="json")},
        "state": state,
        "desired": "run",
        "epoch": 1,
        "attempt": 1,
        "lease_until": 0.0,
        "not_before": 0.0,
        "step": 0,
        "checkpoint_step": 0,
        "created_at": BEGUN,
        "started_at": BEGUN,
        **(ELSEWHERE if state == "running" else {}),
        **values,
    }
    with database.writing() as connection:
        connection.execute(insert(job).values(number=take_numbers(connection), **row))
    return str(row["id"])


def put_events(database: Database, job_id: str, lines: Iterable[Line]) -> None:
    """Tell of a job, page by page."""
    page: list[Line] = []
    for line in lines:
        page.append(line)
        if len(page) == PAGE:
            _append(database, job_id, page)
            page = []
    if page:
        _append(database, job_id, page)


def step(number: int, floor: float = 0.4, **values: Any) -> Line:
    """A step of a run whose loss falls towards `floor`, with some noise."""
    noise = (number * 7919 % 1009 / 1009 - 0.5) * 0.4
    body = {
        "epoch": number / 100,
        "loss": floor + (2.4 + noise) / number**0.35,
        "learning_rate": 2e-4 * (1 + math.cos(min(number / 1e5, 1) * math.pi)) / 2,
        "grad_norm": 0.6 + noise,
        "tokens": 375,
        "supervised_tokens": 55,
        "tokens_per_second": 189.4 + 20 * noise,
        "memory": 1_160_081_408,
        "eta_seconds": 22.6,
        "seconds": number * 1.1,
        **values,
    }
    return line("step", number, **body)


def line(kind: str, number: int, **body: Any) -> Line:
    return Line(kind, number, json.dumps({"seconds": number * 1.1, **body, "step": number, "event": kind}))


def _append(database: Database, job_id: str, lines: list[Line]) -> None:
    with database.writing() as connection:
        events.append(connection, job_id, lines)
