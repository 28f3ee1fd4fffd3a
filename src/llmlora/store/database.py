"""The connection: SQLite in the data directory, or PostgreSQL.

SQLite runs with a write-ahead log, full syncs and explicit transactions: a write begins as one (`BEGIN IMMEDIATE`), so
it waits for its turn instead of failing half-way.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection, Double, Engine, bindparam, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from llmlora.errors import MissingExtra, StoreUnusable
from llmlora.store import tables

BUSY_SECONDS = 30
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb", "smb2", "smbfs", "smb3")
MIGRATION_LOCK = 7_265_614  # any number, the same in all of our processes
Unreachable = (DBAPIError, PoolTimeout)  # the database is away, or too busy to answer
DISK_FULL = ("SQLITE_FULL", "53100")  # what SQLite's and PostgreSQL's drivers call it


class Now(FunctionElement[float]):
    """The database's clock, the only one that leases are compared with."""

    type = Double()
    inherit_cache = True


@compiles(Now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(Now, "postgresql")
def _postgresql_now(*_: Any, **__: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def new_id() -> str:
    """A random identifier that fits into paths and URLs: 60 bits."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(12))


class Database:
    """An open database whose tables are of this version."""

    def __init__(self, url: str) -> None:
        """Connect, and bring the tables to this version.

        Raises:
            StoreUnusable: it cannot be reached, lies on a network file system, or is newer than this program.
            MissingExtra: PostgreSQL without its driver.
        """
        self.engine = _engine(url)
        self._turn = threading.Lock()  # SQLite's own waiting is not fair between the threads of a process
        try:
            self._migrate()
        except DBAPIError as error:
            self.close()
            raise StoreUnusable(_without_password(url), str(error.orig).strip().splitlines()[0]) from None
        except StoreUnusable:
            self.close()
            raise

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state and changes nothing."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed when the block ends well."""
        if self.engine.dialect.name != "sqlite":
            with self.engine.begin() as connection:
                yield connection
            return
        with self._turn, self.engine.connect().execution_options(immediate=True) as connection, connection.begin():
            yield connection

    def _migrate(self) -> None:
        with self.reading() as connection:
            found = _revision(connection)
        if found == tables.REVISION:
            return
        _back_up(self.engine, found)
        from alembic import command  # noqa: PLC0415 - slow to import, and seldom needed
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        with self.writing() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            try:
                command.upgrade(config, tables.REVISION)
            except CommandError as error:
                raise StoreUnusable(_without_password(str(self.engine.url)), str(error)) from None


def says_disk_full(error: Exception) -> bool:
    """Whether the database did not answer because its disk is full."""
    original = getattr(error, "orig", None)
    return any(getattr(original, name, None) in DISK_FULL for name in ("sqlite_errorname", "sqlstate"))


def take_numbers(connection: Connection, count: int = 1) -> int:
    """The first of `count` new consecutive numbers. Held until the commit: later numbers become visible later."""
    last = connection.execute(_taking(), {"count": count}).scalar_one()
    return int(last) - count + 1


@cache  # a statement takes longer to build than to run
def _taking() -> Any:
    value = tables.counter.c.value
    return tables.counter.update().values(value=value + bindparam("count")).returning(value)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreUnusable("LLMLORA_DATABASE_URL", "it is not a database URL") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql":
        if find_spec("psycopg") is None:
            raise MissingExtra("PostgreSQL", "postgres", "pip install 'llmlora[postgres]'")
        return create_engine(parsed, pool_size=10, max_overflow=30, pool_pre_ping=True)
    if parsed.get_backend_name() != "sqlite":
        raise StoreUnusable(parsed.get_backend_name(), "only sqlite:// and postgresql:// are understood")
    path = Path(parsed.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    _need_local_disk(path)
    engine = create_engine(
        parsed, pool_size=10, max_overflow=30, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _need_local_disk(path: Path) -> None:
    """SQLite's locks do not hold on network file systems: two writers would destroy the database."""
    where = path.absolute().parent
    mounts = [mount for mount in psutil.disk_partitions(all=True) if where.is_relative_to(mount.mountpoint)]
    nearest = max(mounts, key=lambda mount: len(mount.mountpoint), default=None)
    if nearest and nearest.fstype.lower() in NETWORK_FILE_SYSTEMS:
        raise StoreUnusable(str(path), f"it lies on a network file system ({nearest.fstype}), where SQLite is not safe")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(text("version_num")).select_from(text("alembic_version"))).scalar()


def _back_up(engine: Engine, revision: str | None) -> None:
    """Keep a copy of an older SQLite database beside it before it is changed."""
    if engine.dialect.name != "sqlite" or revision is None:
        return
    path = Path(engine.url.database or "")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(f"{path}.{revision}.bak")) as target:
        source.backup(target)


def _without_password(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)
