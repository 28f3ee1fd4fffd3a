"""Chats by API through Ollama: it answers where it has the very model, and who answers is always told."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from llmlora.api import chats
from llmlora.api.context import Context
from llmlora.export.ollama import Wish, register
from llmlora.ollama import client as ollama_client
from tests.api.app import NOBODY, app_of, context_at
from tests.api.test_chats import events
from tests.api.trained import succeeded_job
from tests.blob_run import NAME, BlobRun, blob_run
from tests.ollama.standin.faults import Cut, Hang
from tests.ollama.standin.server import StandIn, ollama_standin

BASE = f"ollama:{NAME}"
GREEDY = {"temperature": 0, "max_tokens": 8}
LLAMA_CPP, VERSION = "llama.cpp (embedded)", "Ollama 0.33.0"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BlobRun:
    return blob_run(tmp_path_factory.mktemp("run"), learning_rate=0.1)


@pytest.fixture(scope="module")
def ollama(run: BlobRun) -> Iterator[StandIn]:
    with ollama_standin(run.store, "adapters") as server:
        yield server


@pytest.fixture
def here(tmp_path: Path, ollama: StandIn) -> Iterator[Context]:
    with closing(context_at(tmp_path, ollama=ollama.address, stores=(ollama.store.root,))) as context:
        yield context


@pytest.fixture
def client(here: Context) -> Iterator[TestClient]:
    with TestClient(app_of(here, chats.router), headers={"accept-language": "en"}) as running:
        yield running


def say(client: TestClient, chat: str, **options) -> list[tuple[str, dict]]:
    asked = {"content": "Hello", **GREEDY, **options}
    return events(client.post(f"/api/chats/{chat}/messages", json=asked))


def base_chat(client: TestClient) -> str:
    return client.post("/api/chats", json={"model": BASE}).json()["id"]


def job_of(here: Context, run: BlobRun) -> tuple[str, Path]:
    """The run as a job of this server; its id and its directory."""
    job_id = succeeded_job(here, BASE)
    out = here.settings.home.attempt(job_id, 1)
    shutil.copytree(run.out, out)
    return job_id, out


def test_ollama_answers_for_its_own_model_and_is_kept_as_who_did(client, ollama):
    chat = base_chat(client)
    ollama_client.unload(ollama.address, "tiny")

    first, *_, (_, done) = say(client, chat, seed=3)
    again, *_ = say(client, chat)

    name = f"{VERSION} ({NAME})"
    assert first == ("waiting", {"outlook": "loading", "engine": VERSION})
    assert again == ("waiting", {"outlook": "ready", "engine": VERSION})
    (answer,) = done["answers"]
    assert (answer["engine"], answer["whole"]) == (name, True)
    assert 0 < answer["tokens"] <= GREEDY["max_tokens"]
    assert client.get(f"/api/chats/{chat}").json()["turns"][1]["engine"] == name


@pytest.mark.parametrize(("engine", "name"), [("llama.cpp", LLAMA_CPP), ("ollama", f"{VERSION} ({NAME})")])
def test_the_engine_can_be_chosen(client, engine, name):
    (_, done) = say(client, base_chat(client), engine=engine)[-1]

    assert [answer["engine"] for answer in done["answers"]] == [name]


def test_both_sides_are_asked_in_ollama_once_the_adapter_is_there(client, here, ollama, run):
    job_id, out = job_of(here, run)
    chat = client.post("/api/chats", json={"job_id": job_id}).json()["id"]
    (_, before) = say(client, chat, compare=True)[-1]
    refused = client.post(f"/api/chats/{chat}/messages", json={"content": "Hello", "engine": "ollama"})

    register(out, run.base, Wish("mine"), ollama.address, here.settings.home.exports(job_id))
    (_, after) = say(client, chat, compare=True, replaces=0)[-1]
    ollama_client.delete(ollama.address, "mine")
    (_, gone) = say(client, chat, compare=True, replaces=0)[-1]

    assert [one["engine"] for one in before["answers"]] == [LLAMA_CPP] * 2
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "engine_unavailable")
    assert "not registered" in refused.json()["error"]["message"]
    assert [one["engine"] for one in after["answers"]] == [f"{VERSION} (mine:latest)", f"{VERSION} ({NAME})"]
    assert after["answers"][0]["text"] != after["answers"][1]["text"]
    assert [one["engine"] for one in gone["answers"]] == [LLAMA_CPP] * 2


def test_what_can_answer_is_told_with_the_reason_why_another_cannot(client, here, run):
    job_id, _ = job_of(here, run)

    base = client.get("/api/chats/engines", params={"model": BASE}).json()
    tuned = client.get("/api/chats/engines", params={"job_id": job_id}).json()

    assert [(one["engine"], one["name"], one["reason"]) for one in base] == [
        ("ollama", VERSION, None),
        ("llama.cpp", LLAMA_CPP, None),
    ]
    assert [(one["engine"], one["name"]) for one in tuned] == [("llama.cpp", LLAMA_CPP), ("ollama", "Ollama")]
    assert "not registered" in tuned[1]["reason"]


def test_without_ollama_llama_cpp_answers_and_ollama_is_not_promised(tmp_path, ollama):
    with (
        closing(context_at(tmp_path, ollama=NOBODY, stores=(ollama.store.root,))) as here,
        TestClient(app_of(here, chats.router), headers={"accept-language": "en"}) as client,
    ):
        chat = base_chat(client)
        (_, done) = say(client, chat)[-1]
        refused = client.post(f"/api/chats/{chat}/messages", json={"content": "Hello", "engine": "ollama"})

    assert done["answers"][0]["engine"] == LLAMA_CPP
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ollama_unreachable")


def test_a_stop_word_ends_the_answer_of_either(client):
    chat = base_chat(client)
    for engine in ("ollama", "llama.cpp"):
        (_, whole) = say(client, chat, engine=engine, replaces=0)[-1]
        text = whole["answers"][0]["text"]
        (_, cut) = say(client, chat, engine=engine, replaces=0, stop=[text[3:5]])[-1]

        assert cut["answers"][0]["text"] == text[: text.index(text[3:5])] != text


def test_a_server_that_goes_away_is_told_and_what_it_said_is_kept(client, ollama):
    chat = base_chat(client)
    ollama.faults.append(Cut(path="/api/chat", lines=3))

    *told, (name, problem) = say(client, chat)

    said = "".join(data["text"] for kind, data in told if kind == "token")
    assert (name, problem["code"]) == ("error", "ollama_cut_off")
    assert ollama.address in problem["message"]
    _, kept = client.get(f"/api/chats/{chat}").json()["turns"]
    assert (kept["content"], kept["engine"]) == (said, f"{VERSION} ({NAME})")
    assert said


def test_closing_the_connection_ends_the_answer_and_keeps_what_was_said(here, ollama):
    app = app_of(here, chats.router)
    with TestClient(app) as client:
        chat = base_chat(client)
    ollama.faults.append(hang := Hang(path="/api/chat", lines=3))

    async def listen_until_it_hangs() -> None:
        requests = iter([{"type": "http.request", "body": json.dumps({"content": "Hi", **GREEDY}).encode()}])

        async def receive():
            if request := next(requests, None):
                return request
            await asyncio.to_thread(hang.reached.wait)
            asyncio.get_running_loop().call_soon(hang.released.set)  # once this has been heard
            return {"type": "http.disconnect"}

        async def send(_message):
            pass

        headers = [(b"content-type", b"application/json")]
        path = f"/api/chats/{chat}/messages"
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        async with app.router.lifespan_context(app) as state:
            await app({**scope, "state": state}, receive, send)

    asyncio.run(listen_until_it_hangs())
    with TestClient(app) as client:
        user, answer = client.get(f"/api/chats/{chat}").json()["turns"]
    assert user["content"] == "Hi"
    assert answer["engine"] == f"{VERSION} ({NAME})"
    assert answer["tokens"] < GREEDY["max_tokens"]


@pytest.mark.parametrize("wrong", [{"engine": "gpt"}, {"stop": [""]}, {"stop": ["x"] * 9}])
def test_other_choices_are_refused(client, wrong):
    asked = {"content": "Hello", **wrong}

    assert client.post(f"/api/chats/{base_chat(client)}/messages", json=asked).status_code == 422
