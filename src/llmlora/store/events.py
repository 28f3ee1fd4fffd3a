"""Events in the store: appended with increasing numbers, read from a number on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, func, insert, select

from llmlora.store.database import take_numbers
from llmlora.store.tables import event


@dataclass(frozen=True)
class Event:
    """`kind` is that of a run's event, or `state` (of a job), `rewound` (to `step`), `dataset`, `chat`, `deleted`."""

    seq: int
    job_id: str | None
    kind: str
    step: int
    body: str  # JSON


@dataclass(frozen=True)
class Line:
    """A line of events.jsonl."""

    kind: str
    step: int
    body: str


def append(connection: Connection, job_id: str | None, lines: Sequence[Line]) -> int:
    """Add events; returns the number of the last one."""
    first = take_numbers(connection, len(lines))
    rows = [
        {"seq": first + at, "job_id": job_id, "kind": line.kind, "step": line.step, "body": line.body}
        for at, line in enumerate(lines)
    ]
    connection.execute(insert(event), rows)
    return first + len(lines) - 1


def tell(connection: Connection, job_id: str | None, kind: str, body: dict[str, Any], step: int = 0) -> None:
    """Add one event."""
    append(connection, job_id, [Line(kind, step, json.dumps(body, ensure_ascii=False))])


def newest(connection: Connection) -> int:
    """The number of the newest event, 0 before the first."""
    return int(connection.execute(select(func.max(event.c.seq))).scalar() or 0)


def after(connection: Connection, seq: int, limit: int, job_id: str | None = None) -> list[Event]:
    """At most `limit` events after `seq`, of one job if it is given."""
    query = select(event).where(event.c.seq > seq).order_by(event.c.seq).limit(limit)
    if job_id is not None:
        query = query.where(event.c.job_id == job_id)
    return [Event(**row._mapping) for row in connection.execute(query)]


def of_job(connection: Connection, job_id: str, kind: str) -> list[dict[str, Any]]:
    """The bodies of all events of a kind, in order."""
    query = select(event.c.body).where(event.c.job_id == job_id, event.c.kind == kind).order_by(event.c.seq)
    # read as one list: a run may have 100,000 steps, and so many small documents take four times as long
    bodies: list[dict[str, Any]] = from_json(f"[{','.join(connection.execute(query).scalars())}]")
    return bodies


def last_of_job(connection: Connection, job_id: str, kind: str) -> dict[str, Any]:
    """The body of a job's last event of a kind; empty when there is none."""
    query = select(event.c.body).where(event.c.job_id == job_id, event.c.kind == kind)
    body = connection.execute(query.order_by(event.c.seq.desc()).limit(1)).scalar()
    return dict(json.loads(body)) if body else {}


def mirrored(connection: Connection, job_id: str) -> list[Event]:
    """What has been copied from the job's events.jsonl so far, in order."""
    query = select(event).where(event.c.job_id == job_id, event.c.kind.notin_(("state", "rewound")))
    return [Event(**row._mapping) for row in connection.execute(query.order_by(event.c.seq))]


def forget(connection: Connection, job_id: str, from_seq: int) -> None:
    """Remove a job's mirrored events from `from_seq` on: the run will tell those steps again."""
    connection.execute(
        event.delete().where(
            event.c.job_id == job_id, event.c.seq >= from_seq, event.c.kind.notin_(("state", "rewound"))
        )
    )
