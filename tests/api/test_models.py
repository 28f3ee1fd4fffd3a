"""The bases by API: described as they are, checked, downloaded by Ollama."""

import json
from contextlib import closing
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from llmlora.api import models
from llmlora.errors import OllamaFailed
from llmlora.store import events, jobs
from tests.api.app import app_of, context_at
from tests.ollama.scripted import ollama_server
from tests.ollama_store import OllamaStore
from tests.tiny import tiny_gguf

TINY = "registry.ollama.ai/library/tiny/latest"


@pytest.fixture
def ollama():
    with ollama_server() as running:
        yield running


@pytest.fixture
def here(tmp_path, ollama):
    store = OllamaStore(tmp_path / "store")
    store.add(TINY, tiny_gguf(tmp_path / "tiny.gguf").read_bytes(), license=b"MIT")
    with closing(context_at(tmp_path, ollama=ollama.address, stores=(store.root,))) as context:
        yield context


@pytest.fixture
def client(here):
    return TestClient(app_of(here, models.router), headers={"accept-language": "en"})


def by_name(client: TestClient) -> dict:
    return {one["name"]: one for one in client.get("/api/models").json()["models"]}


def lines(answer) -> list[dict]:
    return [json.loads(line) for line in answer.iter_lines()]


def test_every_base_is_listed_with_its_verdict(client, ollama):
    ollama.tags = [{"name": "tiny:latest", "size": 1}, {"name": "far:8b", "size": 42}]

    found = by_name(client)

    assert found["ollama:tiny:latest"]["trainable"] is True
    assert found["ollama:tiny:latest"]["license"] == "MIT"
    assert found["sample:smollm2-135m"]["architecture"] == "llama"
    assert found["ollama:far:8b"] | {"trainable": False, "size": 42} == found["ollama:far:8b"]
    assert "not on this machine" in found["ollama:far:8b"]["reason"]


def test_the_list_says_whether_ollama_answers(client, ollama):
    assert client.get("/api/models").json()["ollama"] == {
        "address": ollama.address,
        "reachable": True,
        "version": "0.36.1",
        "error": None,
    }

    ollama.status = 500

    said = client.get("/api/models").json()
    assert (said["ollama"]["reachable"], said["ollama"]["version"]) == (False, None)
    assert said["ollama"]["error"]["hint"] == OllamaFailed("no").hint("en")
    assert "ollama:tiny:latest" in {one["name"] for one in said["models"]}


def test_a_base_is_read_again_only_when_its_file_changes(client, tmp_path, monkeypatch):
    file = tiny_gguf(tmp_path / "other.gguf")
    client.get(f"/api/models/check/gguf:{file}")
    with monkeypatch.context() as patch:
        patch.setattr("llmlora.api.models.describe", lambda _: pytest.fail("it was read again"))
        assert client.get(f"/api/models/check/gguf:{file}").json()["trainable"] is True

    tiny_gguf(file, "gemma3")

    assert client.get(f"/api/models/check/gguf:{file}").json()["architecture"] == "gemma3"


def test_a_check_gives_the_reason_in_the_readers_language(client, here, tmp_path):
    store = OllamaStore(tmp_path / "second")
    store.add("registry.ollama.ai/library/odd/latest", tiny_gguf(tmp_path / "odd.gguf", "bert").read_bytes())
    here.settings = here.settings.__class__(**vars(here.settings) | {"ollama_stores": (store.root,)})

    english = client.get("/api/models/check/odd").json()
    japanese = client.get("/api/models/check/odd", headers={"accept-language": "ja"}).json()

    assert english["trainable"] is False
    assert "cannot be trained yet" in english["reason"]
    assert "学習できません" in japanese["reason"]
    assert "選んでください" in japanese["hint"]


def test_names_with_slashes_and_colons_work_in_paths(client, here, tmp_path):
    store = OllamaStore(tmp_path / "second")
    store.add("hf.co/someone/tiny-model/Q8_0", tiny_gguf(tmp_path / "tiny2.gguf").read_bytes())
    here.settings = here.settings.__class__(**vars(here.settings) | {"ollama_stores": (store.root,)})

    found = client.get("/api/models/check/ollama:hf.co/someone/tiny-model:Q8_0")

    assert found.json()["name"] == "ollama:hf.co/someone/tiny-model:Q8_0"


def test_what_only_ollama_can_see_is_checked_too(client, ollama):
    ollama.tags = [{"name": "far:8b", "size": 42}]

    assert "not on this machine" in client.get("/api/models/check/far:8b").json()["reason"]
    assert client.get("/api/models/far:8b").json()["layers"] is None


@pytest.mark.parametrize("path", ["/api/models/check/nobody", "/api/models/nobody", "/api/models/check/a%00b"])
def test_an_unknown_name_is_not_found(client, path):
    answer = client.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_details_show_the_layers_the_targets_and_the_template(client):
    found = client.get("/api/models/tiny").json()

    assert found["layers"] == 2
    assert {"q_proj", "down_proj"} <= set(found["targets"])
    assert "<|im_start|>" in found["template"]


def test_a_pull_is_a_job_whose_progress_is_told_until_it_is_over(client, here, monkeypatch):
    def play(context, job_id, seq, real=models._news):
        with context.database.writing() as connection:  # a runner, one step at each look
            job = jobs.fetch(connection, job_id)
            if job.state == "queued":
                assert jobs.claim(connection, "me", ["pull"])
                progress = {"event": "progress", "step": 0, "text": "pulling 01", "done": 5, "total": 9}
                events.tell(connection, job_id, "progress", progress)
            else:
                jobs.write(connection, job_id, job.epoch, state="succeeded", result={"model": "far:8b"})
        return real(context, job_id, seq)

    monkeypatch.setattr("llmlora.api.models._news", play)
    monkeypatch.setattr("llmlora.api.models.LOOK_SECONDS", 0)

    answer = client.post("/api/models/pull/far:8b")
    told = lines(answer)

    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert (told[0]["kind"], told[0]["state"], told[0]["model"]) == ("job", "queued", "far:8b")
    assert {"kind": "progress", "text": "pulling 01", "done": 5, "total": 9} in told
    assert told[-1] | {"kind": "job", "state": "succeeded", "error": None} == told[-1]


def test_a_pull_that_is_on_its_way_is_joined_and_a_failure_is_told_in_words(client, here, monkeypatch):
    first = jobs.submit(here.database, jobs.Request("pull", "far:8b", {"model": "far:8b"}))
    error = OllamaFailed("no such model").to_json()

    def fail(connection, job_id, real=jobs.fetch):
        job = jobs.claim(connection, "me", ["pull"])
        if job:
            jobs.write(connection, job.id, job.epoch, state="failed", error=error)
        return real(connection, job_id)

    monkeypatch.setattr("llmlora.api.models.jobs.fetch", fail)

    told = lines(client.post("/api/models/pull/far:8b", headers={"accept-language": "ja"}))

    assert [line["id"] for line in told] == [first.id, first.id]
    assert told[-1]["state"] == "failed"
    assert told[-1]["error"]["message"] == OllamaFailed("no such model").message("ja")


def test_downloads_under_way_are_listed_with_their_progress_until_they_are_over(client, here):
    jobs.submit(here.database, jobs.Request("pull", "far:8b", {"model": "far:8b"}))
    with here.database.writing() as connection:
        job = jobs.claim(connection, "me", ["pull"])
        events.tell(connection, job.id, "progress", {"text": "pulling 01", "done": 5, "total": 9})
        newest = events.newest(connection)

    (told,) = client.get("/api/models/pull").json()
    assert told["progress"] == {"kind": "progress", "text": "pulling 01", "done": 5, "total": 9}
    assert (told["model"], told["state"], told["seq"]) == ("far:8b", "starting", newest)

    assert client.delete("/api/models/pull/far:8b").status_code == 204
    with here.database.writing() as connection:
        assert jobs.fetch(connection, job.id).desired == "cancel"
        jobs.write(connection, job.id, job.epoch, state="cancelled")
    assert client.get("/api/models/pull").json() == []


def test_a_download_that_failed_is_listed_until_someone_forgets_it(client, here):
    jobs.submit(here.database, jobs.Request("pull", "far:8b", {"model": "far:8b"}))
    with here.database.writing() as connection:
        job = jobs.claim(connection, "me", ["pull"])
        jobs.write(connection, job.id, job.epoch, state="failed", error=OllamaFailed("no such model").to_json())

    (told,) = client.get("/api/models/pull").json()
    assert (told["state"], told["error"]["code"]) == ("failed", "ollama_failed")

    assert client.delete("/api/models/pull/ollama:far:8b").status_code == 204
    assert client.get("/api/models/pull").json() == []
    assert client.delete("/api/models/pull/far:8b").status_code == 404


def test_without_a_server_a_pull_is_refused_at_once(tmp_path):
    with closing(context_at(tmp_path)) as context:
        answer = TestClient(app_of(context, models.router)).post("/api/models/pull/far:8b")

        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "ollama_unreachable"
        with context.database.reading() as connection:
            assert jobs.listed(connection, "pull") == []


@pytest.mark.parametrize(
    "name", ["a b", "../../etc/passwd", "x" * 81, "-x", "a/" + "b" * 79 + "/" + "c" * 79 + ":" + "d" * 79]
)
def test_what_is_no_name_is_not_pulled(client, name, ollama):
    answer = client.post(f"/api/models/pull/{name}")

    assert answer.status_code in (404, 405, 422)
    assert ollama.asked == []


def test_the_stream_is_described_for_clients(client):
    described = client.get("/openapi.json").json()

    answer = described["paths"]["/api/models/pull/{name}"]["post"]["responses"]["200"]["content"]
    assert answer["application/x-ndjson"]["schema"]["$ref"].endswith("PullLine")


def test_a_base_tells_how_ollama_writes_its_prompts(client, here, tmp_path):
    store = OllamaStore(tmp_path / "more")
    store.add(TINY, (tmp_path / "tiny.gguf").read_bytes(), {"model_format": "gguf", "renderer": "fox"})
    here.settings = replace(here.settings, ollama_stores=(store.root,))

    told = client.get("/api/models/ollama:tiny").json()["rendering"]

    assert told == {"kind": "renderer", "source": "fox", "text": "code inside Ollama (fox)"}
    assert client.get(f"/api/models/gguf:{tmp_path / 'tiny.gguf'}").json()["rendering"] is None
