"""The state of the installation by API."""

from contextlib import closing

import pytest
from fastapi.testclient import TestClient

from llmlora.api import system
from llmlora.doctor import Finding
from llmlora.store import jobs
from tests.api.app import app_of, context_at


@pytest.fixture
def examined(monkeypatch) -> list[object]:
    """Who was examined; everybody is healthy but for Node."""
    seen: list[object] = []

    def examine(settings):
        seen.append(settings)
        return [Finding("python", facts={"version": "3.11", "system": "Linux"}), Finding("node_absent", "warn")]

    monkeypatch.setattr(system, "examine", examine)
    return seen


@pytest.fixture
def here(tmp_path):
    with closing(context_at(tmp_path)) as context:
        yield context


@pytest.fixture
def client(here, examined):
    with TestClient(app_of(here, system.router), headers={"accept-language": "en"}) as running:
        yield running


def test_findings_are_told_in_the_readers_language(client):
    english = client.get("/api/system").json()
    japanese = client.get("/api/system", headers={"accept-language": "ja"}).json()

    assert english["ok"] is True
    assert english["findings"][1]["text"] == "Node is not installed"
    assert japanese["findings"][1]["text"] == "Node がありません"


def test_many_questions_are_one_examination(client, examined, monkeypatch):
    for _ in range(3):
        client.get("/api/system")
    assert len(examined) == 1

    monkeypatch.setattr(system.time, "monotonic", lambda real=system.time.monotonic: real() + 11)
    client.get("/api/system")
    assert len(examined) == 2


def test_it_counts_what_there_is_and_names_what_runs(client, here, tmp_path):
    for number in range(2):
        jobs.submit(here.database, jobs.Request("train", f"job {number}", {"recipe": {}}))
    with here.database.writing() as connection:
        one = jobs.claim(connection, "me", ["train"])
    told = client.get("/api/system").json()

    assert told["counts"] == {"datasets": 0, "jobs": 2, "waiting": 1, "chats": 0}
    assert [running["id"] for running in told["running"]] == [one.id]
    assert told["settings"]["data_directory"] == str(tmp_path)


def test_no_password_is_told(client, here):
    here.settings = here.settings.__class__(
        **vars(here.settings) | {"database_url": "postgresql://someone:s3cret@db.example/llmlora"}
    )

    answer = client.get("/api/system")

    assert "s3cret" not in answer.text
    assert answer.json()["settings"]["database"] == "postgresql://someone:***@db.example/llmlora"
