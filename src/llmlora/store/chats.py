"""Conversations in the store."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from llmlora.store import events
from llmlora.store.database import Now, new_id
from llmlora.store.tables import chat


@dataclass(frozen=True)
class Chat:
    """A row of the table `chat`. A turn is {"role", "content"}, an answer also {"adapted"} and how it came about."""

    id: str
    name: str
    model: str
    job_id: str | None
    system: str
    turns: list[dict[str, Any]]
    created_at: float
    updated_at: float


def add(connection: Connection, name: str, model: str, job_id: str | None, system: str) -> Chat:
    values: dict[str, Any] = {
        "id": new_id(),
        "name": name,
        "model": model,
        "job_id": job_id,
        "system": system,
        "turns": [],
    }
    stamped = {**values, "created_at": Now(), "updated_at": Now()}
    return _told(connection, connection.execute(insert(chat).values(stamped).returning(chat)).one())


def change(connection: Connection, chat_id: str, **values: Any) -> Chat | None:
    changed = update(chat).where(chat.c.id == chat_id).values(**values, updated_at=Now()).returning(chat)
    row = connection.execute(changed).first()
    return _told(connection, row) if row else None


def fetch(connection: Connection, chat_id: str) -> Chat | None:
    row = connection.execute(select(chat).where(chat.c.id == chat_id)).first()
    return Chat(**row._mapping) if row else None


def listed(connection: Connection) -> list[Chat]:
    """All, the one last talked to first."""
    return [Chat(**row._mapping) for row in connection.execute(select(chat).order_by(chat.c.updated_at.desc()))]


def remove(connection: Connection, chat_id: str) -> bool:
    gone = connection.execute(delete(chat).where(chat.c.id == chat_id)).rowcount > 0
    if gone:
        events.tell(connection, None, "deleted", {"chat_id": chat_id})
    return gone


def _told(connection: Connection, row: Any) -> Chat:
    one = Chat(**row._mapping)
    events.tell(connection, None, "chat", {"id": one.id, "name": one.name})
    return one
