"""Fixtures of all tests: the real sample models, and a data directory of its own for each test."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

# as `llmlora` itself does: tests run beside each other, and threads that spin would slow all of them
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# no model of the machine's own cache, and none from the internet; read when huggingface_hub is imported
os.environ.update(HF_HOME="/nonexistent/hf", HF_HUB_CACHE="/nonexistent/hf/hub", HF_HUB_OFFLINE="1")

from llmlora.model.source import resolve
from llmlora.paths import Home
from llmlora.store.database import Database, new_id
from tests.postgres_server import start as start_postgres


@pytest.fixture(scope="session")
def sample_home() -> Home:
    """Where samples are assembled: beside the virtual environment, so that it happens once."""
    return Home(Path(sys.prefix) / "sample-models")


@pytest.fixture(scope="session")
def smollm2_path(sample_home: Home) -> Path:
    return resolve("sample:smollm2-135m", sample_home, ()).path


@pytest.fixture(scope="session")
def gemma3_path(sample_home: Home) -> Path:
    return resolve("sample:gemma3-270m", sample_home, ()).path


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMLORA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LLMLORA_LANG", "en")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "no-ollama"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")  # a true server is asked by the live test alone


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started for these tests from the binaries of a package."""
    directory = tempfile.mkdtemp(prefix="llmlora-pg-")  # a socket's path must be short
    server = start_postgres(Path(directory) / "data")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """A database of its own."""
    name = f"test_{new_id()}"
    admin = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite and PostgreSQL in turn: the same tests hold on both."""
    return f"sqlite:///{tmp_path}/llmlora.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()
