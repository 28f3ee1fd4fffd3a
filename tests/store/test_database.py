"""Opening the store: new, old, too new, away, on a disk where it would break."""

import sqlite3
from collections import namedtuple
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from llmlora.errors import MissingExtra, StoreUnusable
from llmlora.store import events, tables
from llmlora.store.database import Database


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database):
    with database.reading() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), tables.metadata)

    assert difference == []


def test_opening_again_changes_nothing(database: Database, database_url: str):
    with database.writing() as connection:
        events.tell(connection, None, "dataset", {"name": "kept"})

    again = Database(database_url)

    with again.reading() as connection:
        assert [event.body for event in events.after(connection, 0, 10)] == ['{"name": "kept"}']
    again.close()


def test_tables_of_a_newer_program_are_left_alone(database: Database, database_url: str):
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StoreUnusable, match="9999"):
        Database(database_url)


def test_an_older_database_is_copied_before_it_is_changed(tmp_path: Path):
    path = tmp_path / "llmlora.db"
    with sqlite3.connect(path) as old:
        old.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        old.execute("INSERT INTO alembic_version VALUES ('0000')")
        old.execute("CREATE TABLE precious (value)")

    with pytest.raises(StoreUnusable):
        Database(f"sqlite:///{path}")

    with sqlite3.connect(f"{path}.0000.bak") as copy:
        assert copy.execute("SELECT count(*) FROM precious").fetchone() == (0,)


def test_a_write_that_fails_leaves_nothing(database: Database):
    def fail_half_way() -> None:
        with database.writing() as connection:
            events.tell(connection, None, "dataset", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()

    with database.reading() as connection:
        assert events.newest(connection) == 0


def test_a_server_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(StoreUnusable) as caught:
        Database("postgresql://someone:secret@127.0.0.1:1/x")

    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/x"])
def test_other_databases_are_refused(url: str):
    with pytest.raises(StoreUnusable):
        Database(url)


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr("llmlora.store.database.find_spec", lambda _: None)

    with pytest.raises(MissingExtra) as caught:
        Database("postgresql://host/x")

    assert "llmlora[postgres]" in caught.value.hint()


def test_sqlite_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch):
    mount = namedtuple("mount", "mountpoint fstype")
    found = [mount("/", "ext4"), mount(str(tmp_path), "nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: found)

    with pytest.raises(StoreUnusable, match="nfs4"):
        Database(f"sqlite:///{tmp_path}/llmlora.db")
