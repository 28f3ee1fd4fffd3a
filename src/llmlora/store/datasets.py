"""Data sets in the store."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from llmlora.recipe import Part
from llmlora.store import events
from llmlora.store.database import Now
from llmlora.store.tables import dataset


@dataclass(frozen=True)
class Dataset:
    """A row of the table `dataset`."""

    id: str
    name: str
    version: int
    file: str
    bytes: int
    sha256: str
    rows: int
    problems: int
    mapping: dict[Part, str]
    report: dict[str, Any]
    created_at: float
    updated_at: float


def add(connection: Connection, **values: Any) -> Dataset:
    """A new data set; `id` is given, because its files are there already."""
    stamped = {**values, "created_at": Now(), "updated_at": Now()}
    return _told(connection, connection.execute(insert(dataset).values(stamped).returning(dataset)).one())


def change(connection: Connection, dataset_id: str, **values: Any) -> Dataset | None:
    changed = update(dataset).where(dataset.c.id == dataset_id).values(**values, updated_at=Now())
    row = connection.execute(changed.returning(dataset)).first()
    return _told(connection, row) if row else None


def fetch(connection: Connection, dataset_id: str) -> Dataset | None:
    row = connection.execute(select(dataset).where(dataset.c.id == dataset_id)).first()
    return Dataset(**row._mapping) if row else None


def listed(connection: Connection) -> list[Dataset]:
    """All, newest first."""
    query = select(dataset).order_by(dataset.c.created_at.desc(), dataset.c.id)
    return [Dataset(**row._mapping) for row in connection.execute(query)]


def remove(connection: Connection, dataset_id: str) -> None:
    connection.execute(delete(dataset).where(dataset.c.id == dataset_id))
    events.tell(connection, None, "deleted", {"dataset_id": dataset_id})


def _told(connection: Connection, row: Any) -> Dataset:
    one = Dataset(**row._mapping)
    events.tell(connection, None, "dataset", {"id": one.id, "name": one.name, "version": one.version})
    return one
