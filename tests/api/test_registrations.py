"""A training job's adapter goes to Ollama by a job: it tells, proves, can be cancelled and killed."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from llmlora.api import registrations
from llmlora.jobs.runner import Runner
from llmlora.jobs.supervised import Terms
from llmlora.ollama import client as ollama
from llmlora.paths import Run
from llmlora.store import jobs as queue
from tests.api.app import app_of, context_at
from tests.api.trained import succeeded_job
from tests.blob_run import NAME, BlobRun, blob_run
from tests.ollama.standin.faults import Hang
from tests.ollama.standin.server import StandIn, ollama_standin

PATIENCE = 60.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> BlobRun:
    return blob_run(tmp_path_factory.mktemp("run"), "gemma3")


@pytest.fixture
def server(trained: BlobRun, tmp_path: Path) -> Iterator[StandIn]:
    shutil.copytree(trained.store, tmp_path / "store")
    with ollama_standin(tmp_path / "store", "adapters") as running:
        yield running


@pytest.fixture
def here(server: StandIn, tmp_path: Path):
    with closing(context_at(tmp_path, ollama=server.address, stores=(tmp_path / "store",))) as context:
        yield context


@pytest.fixture
def client(here):
    with TestClient(app_of(here, registrations.router), headers={"accept-language": "en"}) as running:
        yield running


@pytest.fixture
def path(here, trained: BlobRun) -> str:
    """The address of a finished training job, whose directory is that of the run."""
    job_id = succeeded_job(here, f"ollama:{NAME}")
    shutil.copytree(trained.out, here.settings.home.attempt(job_id, 1))
    return f"/api/training/jobs/{job_id}"


@pytest.fixture
def runner(here) -> Iterator[Runner]:
    one = Runner(here.database, here.settings, Terms(retry=0.01))
    yield one
    one.close()


def until(runner: Runner, true: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "nothing has happened"
        runner.tick()
        time.sleep(0.01)  # the worker needs the core more


def names(server: StandIn) -> set[str]:
    return {str(name) for name in server.store.names()}


def test_from_the_request_to_the_certificate(client, path: str, runner: Runner, server: StandIn, here):
    made = client.post(f"{path}/ollama", json={"name": "mine"})
    again = client.post(f"{path}/ollama", json={"name": "MINE:latest"})
    assert (made.status_code, made.json()["state"], again.json()["id"]) == (201, "queued", made.json()["id"])
    assert client.get(f"{path}/certificate").status_code == 404

    until(runner, lambda: client.get(f"{path}/ollama").json()[0]["state"] in queue.FINAL)

    (done,) = client.get(f"{path}/ollama").json()
    assert (done["state"], done["error"], done["passed"]) == ("succeeded", None, True)
    assert (done["registered"]["name"], done["registered"]["route"]) == ("mine:latest", "adapter")
    assert names(server) == {NAME, "mine:latest"}
    assert "my job" in ollama.show(server.address, "mine").license
    certificate = client.get(f"{path}/certificate", headers={"accept-language": "ja"}).json()
    assert certificate["passed"] is True
    (served,) = [line for line in certificate["lines"] if line["what"] == "served"]
    assert served["measured"] <= served["limit"] and "Ollama が提供する" in served["title"]
    assert (certificate["prompts"][0], certificate["prompt_diff"]) == (certificate["prompts"][1], "")
    page = client.get(f"{path}/certificate/page")
    assert "attachment" in page.headers["content-disposition"] and "<h1>" in page.text
    file = Run(here.settings.home.attempt(path.rpartition("/")[2], 1)).certificate
    file.write_text(file.read_text("utf-8").replace(json.dumps(certificate["prompts"][1]), '"another\\nprompt"', 1))
    assert "-another↵" in client.get(f"{path}/certificate").json()["prompt_diff"]


def test_what_cannot_be_is_said_at_once_and_not_by_a_job(client, path: str, server: StandIn):
    ollama.copy(server.address, NAME, "theirs")

    bad = client.post(f"{path}/ollama", json={"name": "a b"})
    taken = client.post(f"{path}/ollama", json={"name": "theirs"})
    address = client.post(f"{path}/ollama", json={"name": "mine", "address": "http://evil.example"})

    assert (bad.status_code, bad.json()["error"]["code"]) == (422, "bad_model_name")
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "model_name_taken")
    assert address.status_code == 422
    assert client.get(f"{path}/ollama").json() == []
    assert client.post(f"{path}/ollama", json={"name": "theirs", "force": True}).status_code == 201


def test_without_ollama_there_is_no_job(client, here, path: str):
    here.settings = replace(here.settings, ollama_address="http://127.0.0.1:1")

    answer = client.post(f"{path}/ollama", json={"name": "mine"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ollama_unreachable")


def test_a_worker_killed_half_way_is_followed_by_one_that_leaves_one_whole_model(
    client, path: str, runner: Runner, server: StandIn
):
    hang = Hang(path="/api/generate")
    server.faults.append(hang)
    client.post(f"{path}/ollama", json={"name": "mine", "certify": False})
    until(runner, hang.reached.is_set)
    half = names(server) - {NAME}

    os.killpg(next(iter(runner.running.values())).process.pid, signal.SIGKILL)
    hang.released.set()
    until(runner, lambda: client.get(f"{path}/ollama").json()[0]["state"] in queue.FINAL)

    (done,) = client.get(f"{path}/ollama").json()
    assert (len(half), done["state"], done["passed"]) == (1, "succeeded", None)
    assert names(server) == {NAME, "mine:latest"}


def test_cancelling_while_ollama_loads_takes_everything_back(client, path: str, runner: Runner, server: StandIn):
    hang = Hang(path="/api/generate")
    server.faults.append(hang)
    one = client.post(f"{path}/ollama", json={"name": "mine"}).json()
    until(runner, hang.reached.is_set)

    client.post(f"{path}/ollama/{one['id']}/cancel")
    until(runner, lambda: client.get(f"{path}/ollama").json()[0]["state"] in queue.FINAL)

    assert client.get(f"{path}/ollama").json()[0]["state"] == "cancelled"
    assert names(server) == {NAME}
    assert not hang.released.is_set()


def test_a_broken_certificate_fails_the_job_and_the_model_is_still_told(client, path, runner, server, here):
    hang = Hang(path="/api/chat")  # the first question of the certificate: by then the model is there
    server.faults.append(hang)
    client.post(f"{path}/ollama", json={"name": "mine"})
    until(runner, hang.reached.is_set)
    ollama.copy(server.address, NAME, "mine")
    hang.released.set()
    until(runner, lambda: client.get(f"{path}/ollama").json()[0]["state"] in queue.FINAL)

    (done,) = client.get(f"{path}/ollama").json()
    assert (done["state"], done["error"]["code"], done["passed"]) == ("failed", "certificate_failed", False)
    assert done["registered"]["name"] == "mine:latest"


def test_a_job_of_another_training_job_is_not_cancelled_here(client, here, path: str):
    one = client.post(f"{path}/ollama", json={"name": "mine"}).json()
    other = f"/api/training/jobs/{succeeded_job(here, f'ollama:{NAME}')}"

    assert client.post(f"{other}/ollama/{one['id']}/cancel").status_code == 404
    assert client.get(f"{other}/ollama").json() == []
