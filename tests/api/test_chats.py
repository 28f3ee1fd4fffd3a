"""Chats by API: answers stream, the adapter is at work when it is wanted, and what was said is kept."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event

import psutil
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from llmlora.api import chats, engines
from llmlora.api.engines import Engines
from llmlora.chat.engine import Sampling
from llmlora.data.conversation import Turn
from llmlora.errors import EngineFailed
from llmlora.export.merged import export_merged
from llmlora.model.source import resolve
from llmlora.store.events import after as events_of
from llmlora.train.run import train
from tests.api.app import app_of, context_at
from tests.api.trained import SMOL, succeeded_job, trained_job
from tests.small_run import EXACT, on_machine, small_recipe
from tests.tiny import tiny_gguf

GREEDY = {"temperature": 0, "max_tokens": 12}


@pytest.fixture
def here(tmp_path):
    with closing(context_at(tmp_path)) as context:
        yield context


@pytest.fixture
def client(here):
    with TestClient(app_of(here, chats.router), headers={"accept-language": "en"}) as running:
        yield running


def tiny_chat(client: TestClient, tmp_path: Path) -> str:
    model = f"gguf:{tiny_gguf(tmp_path / 'tiny.gguf')}"
    return client.post("/api/chats", json={"model": model}).json()["id"]


def events(answer) -> list[tuple[str, dict]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def say(client: TestClient, chat_id: str, content: str, **options) -> list[tuple[str, dict]]:
    return events(client.post(f"/api/chats/{chat_id}/messages", json={"content": content, **GREEDY, **options}))


def test_a_chat_with_and_without_the_adapter_streams_and_is_kept(client, here):
    tuned_chat = client.post("/api/chats", json={"job_id": trained_job(here)}).json()
    base_chat = client.post("/api/chats", json={"model": SMOL, "name": "Plain"}).json()

    compared = say(client, tuned_chat["id"], "What is a cat?", compare=True, seed=5)
    plain = say(client, base_chat["id"], "What is a cat?")

    assert (tuned_chat["name"], tuned_chat["model"]) == ("my job", SMOL)
    (_, done), (_, plainly) = compared[-1], plain[-1]
    tuned, base = done["answers"]
    assert [tuned["engine"], base["engine"]] == ["llama.cpp (embedded)"] * 2
    assert [tuned["side"], base["side"]] == ["tuned", "base"]
    assert tuned["text"] != base["text"] == plainly["answers"][0]["text"]
    assert "".join(data["text"] for name, data in compared if name == "token") == tuned["text"] + base["text"]
    question, *kept = client.get(f"/api/chats/{tuned_chat['id']}").json()["turns"]
    assert (question["role"], question["content"], question["adapted"]) == ("user", "What is a cat?", None)
    for turn, answer, adapted in zip(kept, (tuned, base), (True, False), strict=True):
        assert turn == {
            **{"role": "assistant", "content": answer["text"], "adapted": adapted, "engine": answer["engine"]},
            **{"seconds": answer["seconds"], "tokens": answer["tokens"], "temperature": 0, "seed": 5},
        }
        assert 0 < turn["tokens"] <= GREEDY["max_tokens"]
        assert turn["seconds"] > 0


def test_the_adapter_can_be_left_out_of_an_answer(client, here):
    chat = client.post("/api/chats", json={"job_id": trained_job(here)}).json()["id"]

    (_, done) = say(client, chat, "Hello", adapted=False)[-1]

    assert [answer["side"] for answer in done["answers"]] == ["base"]


def test_a_dora_job_answers_once_it_is_merged(client, here, tmp_path: Path, monkeypatch):
    on_machine(monkeypatch, EXACT)
    recipe = small_recipe(tmp_path, dora=True, learning_rate=0.05, eval_split=0)
    job_id = succeeded_job(here, recipe.model)
    out = here.settings.home.attempt(job_id, 1)
    train(recipe, out, here.settings.home)
    chat = client.post("/api/chats", json={"job_id": job_id}).json()["id"]

    refused = client.post(f"/api/chats/{chat}/messages", json={"content": "Hi", **GREEDY})
    merged = here.settings.home.exports(job_id) / "merged.gguf"
    export_merged(out, resolve(recipe.model, here.settings.home, ()), merged)
    (_, done) = say(client, chat, "Hi", compare=True)[-1]

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "dora_needs_merging")
    tuned, base = done["answers"]
    assert tuned["text"] != base["text"]


def test_each_side_knows_the_conversation_as_it_went_for_it():
    def answer(text: str, adapted: bool) -> dict:
        return {"role": "assistant", "content": text, "adapted": adapted}

    turns = [
        {"role": "user", "content": "1"},
        *(answer("1t", True), answer("1b", False)),
        {"role": "user", "content": "2"},
        answer("2t", True),
        {"role": "user", "content": "3"},
        *(answer("3b", False), answer("3t", True)),
    ]

    assert [turn.content for turn in chats.said_to(turns, "tuned")] == ["1", "1t", "2", "2t", "3", "3t"]
    assert [turn.content for turn in chats.said_to(turns, "base")] == ["1", "1b", "2", "2t", "3", "3b"]
    assert chats.said_to(turns[:1], "base") == [Turn("user", "1")]


def test_earlier_turns_and_the_system_prompt_are_part_of_the_question(client, tmp_path, monkeypatch):
    asked = []

    def ask(session, text, sampling, adapted):
        asked.append(([turn.content for turn in session.turns], text, sampling, adapted))
        return (piece for piece in ("Good", "!"))

    monkeypatch.setattr("llmlora.chat.session.Session.ask", ask)
    model = f"gguf:{tiny_gguf(tmp_path / 'tiny.gguf')}"
    chat = client.post("/api/chats", json={"model": model, "system": "Be brief."}).json()["id"]

    say(client, chat, "one", seed=7, top_p=0.5)
    say(client, chat, "two")

    assert asked[0] == (["Be brief."], "one", Sampling(12, 0, 0.5, 7), False)
    assert asked[1][0] == ["Be brief.", "one", "Good!"]


def test_the_last_question_is_asked_anew_and_no_other_is_lost(client, tmp_path):
    chat = tiny_chat(client, tmp_path)
    say(client, chat, "one")
    say(client, chat, "two")

    def questions() -> list[str]:
        turns = client.get(f"/api/chats/{chat}").json()["turns"]
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        return [turn["content"] for turn in turns[::2]]

    say(client, chat, "two again", replaces=2)
    assert questions() == ["one", "two again"]
    say(client, chat, "one again", replaces=0)  # in a tab that has not seen the other questions
    assert questions() == ["one", "two again", "one again"]


def test_a_question_that_is_asked_anew_is_not_known_yet(client, tmp_path, monkeypatch):
    known = []

    def ask(session, text, sampling, adapted):
        known.append([turn.content for turn in session.turns])
        return (piece for piece in ("Good",))

    chat = tiny_chat(client, tmp_path)
    monkeypatch.setattr("llmlora.chat.session.Session.ask", ask)
    say(client, chat, "one")
    say(client, chat, "two")

    say(client, chat, "two", replaces=2)

    assert known[1:] == [["one", "Good"]] * 2


def test_the_first_event_says_what_is_waited_for(client, tmp_path):
    chat = tiny_chat(client, tmp_path)

    assert say(client, chat, "Hello")[0] == ("waiting", {"outlook": "loading", "engine": "llama.cpp (embedded)"})
    assert say(client, chat, "Hello")[0] == ("waiting", {"outlook": "ready", "engine": "llama.cpp (embedded)"})


def test_what_happens_to_a_chat_is_told(client, here, tmp_path):
    chat = tiny_chat(client, tmp_path)
    client.patch(f"/api/chats/{chat}", json={"name": "another"})
    say(client, chat, "Hello")
    client.delete(f"/api/chats/{chat}")

    with here.database.reading() as connection:
        told = [(one.kind, json.loads(one.body)) for one in events_of(connection, 0, 10)]
    assert [kind for kind, _ in told] == ["chat", "chat", "chat", "deleted"]
    assert [body["name"] for _, body in told[1:3]] == ["another"] * 2
    assert told[3][1] == {"chat_id": chat}


def test_chats_are_listed_renamed_and_deleted(client, tmp_path):
    chat = tiny_chat(client, tmp_path)

    renamed = client.patch(f"/api/chats/{chat}", json={"name": "さむらい"})
    instructed = client.patch(f"/api/chats/{chat}", json={"system": "Be brief."})
    listed = client.get("/api/chats").json()
    deleted = client.delete(f"/api/chats/{chat}")

    assert renamed.json()["name"] == "さむらい"
    assert (instructed.json()["name"], instructed.json()["system"]) == ("さむらい", "Be brief.")
    assert [(one["id"], one["name"]) for one in listed] == [(chat, "さむらい")]
    assert deleted.status_code == 204
    for answer in (
        client.get(f"/api/chats/{chat}"),
        client.patch(f"/api/chats/{chat}", json={"name": "x"}),
        client.delete(f"/api/chats/{chat}"),
        client.post(f"/api/chats/{chat}/messages", json={"content": "x"}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"model": SMOL, "job_id": "abc"}, 422),
        ({"model": "nobody"}, 404),
        ({"job_id": "abc"}, 404),
        ({"model": SMOL, "system": "\0"}, 422),
        ({"model": SMOL, "colour": "red"}, 422),
    ],
)
def test_a_chat_with_nobody_is_refused(client, body, status):
    assert client.post("/api/chats", json=body).status_code == status


def test_a_job_that_has_not_succeeded_has_nothing_to_talk_to(client, here):
    answer = client.post("/api/chats", json={"job_id": trained_job(here, state="failed")})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_conflict")


def test_an_adapter_is_not_put_on_other_bytes(client, here):
    job = trained_job(here)
    chat = client.post("/api/chats", json={"job_id": job}).json()["id"]
    manifest = here.settings.home.attempt(job, 1) / "final_model" / "MANIFEST.json"
    manifest.write_text(json.dumps({"base": {"name": SMOL, "digest": "sha256:" + "0" * 64}}))

    answer = client.post(f"/api/chats/{chat}/messages", json={"content": "Hi"})

    assert answer.json()["error"]["code"] == "adapter_mismatch"


def test_saying_nothing_is_an_answer_too(client, tmp_path, monkeypatch):
    chat = tiny_chat(client, tmp_path)
    monkeypatch.setattr("llmlora.chat.session.Session.ask", lambda *_, **__: (piece for piece in ()))

    (_, done) = say(client, chat, "Hello")[-1]

    assert [(answer["text"], answer["whole"]) for answer in done["answers"]] == [("", True)]
    assert [turn["content"] for turn in client.get(f"/api/chats/{chat}").json()["turns"]] == ["Hello", ""]


def test_an_engine_that_fails_is_told_as_an_event_and_replaced(client, tmp_path, monkeypatch):
    chat = tiny_chat(client, tmp_path)
    with monkeypatch.context() as patch:

        def broken(*_):
            raise EngineFailed("it died")
            yield

        patch.setattr("llmlora.chat.engine.Engine.stream", broken)
        *_, (name, problem) = say(client, chat, "Hello")

    assert (name, problem["code"]) == ("error", "engine_failed")
    assert "it died" in problem["message"]
    assert client.get(f"/api/chats/{chat}").json()["turns"] == []
    assert say(client, chat, "Hello")[-1][0] == "done"


async def say_and_go(app: FastAPI, chat: str, go: Event, gone: Event, hear: Callable[[bytes], object]) -> None:
    """Say something, as a browser does that lets go when told to `go` and then is `gone`; `hear` gets what comes."""
    body = json.dumps({"content": "Hi", "max_tokens": 2048, "temperature": 0}).encode()
    requests = iter([{"type": "http.request", "body": body}])

    async def receive():
        if request := next(requests, None):
            return request
        assert await asyncio.to_thread(go.wait, 30)
        asyncio.get_running_loop().call_soon(gone.set)
        return {"type": "http.disconnect"}

    async def send(message):
        hear(message.get("body", b""))

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": f"/api/chats/{chat}/messages", "headers": headers}
    async with app.router.lifespan_context(app) as state:
        await app({**scope, "query_string": b"", "state": state}, receive, send)
        for engine in state["engines"]._idle.values():  # it is free again at once
            assert await asyncio.to_thread(engine.session.engine.complete, [1, 2, 3], Sampling(max_tokens=4))


def test_closing_the_connection_stops_the_answer_and_keeps_what_was_said(here, tmp_path):
    app, go = app_of(here, chats.router), Event()
    with TestClient(app) as client:
        model = f"gguf:{tiny_gguf(tmp_path / 'tiny.gguf', context=4096)}"
        chat = client.post("/api/chats", json={"model": model}).json()["id"]

    asyncio.run(say_and_go(app, chat, go, Event(), lambda heard: b"event: token" in heard and go.set()))

    with TestClient(app) as client:
        user, answer = client.get(f"/api/chats/{chat}").json()["turns"]
    assert user["content"] == "Hi"
    assert 0 < len(answer["content"]) < 2000


def test_what_nobody_heard_is_not_kept(here, tmp_path, monkeypatch):
    app, go, gone = app_of(here, chats.router), Event(), Event()
    with TestClient(app) as client:
        chat = tiny_chat(client, tmp_path)

    def late(*_, **__):
        go.set()
        assert gone.wait(30)
        yield "late"

    with monkeypatch.context() as patch:
        patch.setattr("llmlora.chat.session.Session.ask", late)
        asyncio.run(say_and_go(app, chat, go, gone, lambda _: None))

    with TestClient(app) as client:
        assert client.get(f"/api/chats/{chat}").json()["turns"] == []


def test_two_engines_are_kept_and_the_one_not_used_for_longest_goes(here, tmp_path):
    bases = [resolve(f"gguf:{tiny_gguf(tmp_path / f'{n}.gguf', seed=n)}", here.settings.home, ()) for n in range(3)]

    async def use_all() -> tuple[list[int], list[int]]:
        pool, pids = Engines(), []
        for number in (0, 1, 0, 2):
            async with pool.using(bases[number], None) as session:
                pids.append(session.engine.pid)
        await pool._ended()
        alive = [pid for pid in pids if psutil.pid_exists(pid)]
        await pool.close()
        return pids, alive

    pids, alive = asyncio.run(use_all())

    first, _, again, third = pids
    assert first == again
    assert set(alive) == {first, third}
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_busy_engine_is_waited_for(here, tmp_path):
    base = resolve(f"gguf:{tiny_gguf(tmp_path / 'tiny.gguf')}", here.settings.home, ())

    async def two_at_once() -> list[str]:
        pool, order = Engines(), []

        async def talk(name: str) -> None:
            async with pool.using(base, None):
                order.append(f"{name} begins")
                order.append(await pool.outlook(base, None))
                order.append(f"{name} ends")

        await asyncio.gather(talk("one"), talk("two"))
        await pool.close()
        return order

    turns = [[f"{name} begins", "busy", f"{name} ends"] for name in ("one", "two")]
    assert asyncio.run(two_at_once()) == [*turns[0], *turns[1]]


def test_an_idle_engine_is_unloaded(here, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "IDLE_SECONDS", 0)
    base = resolve(f"gguf:{tiny_gguf(tmp_path / 'tiny.gguf')}", here.settings.home, ())

    async def use_once() -> int:
        pool = Engines()
        async with pool.using(base, None) as session:
            pid = session.engine.pid
        while pool._idle:
            await asyncio.sleep(0)
        await pool._ended()
        return pid

    assert not psutil.pid_exists(asyncio.run(use_once()))


def test_the_web_process_loads_nothing_heavy():
    heavy = {"torch", "transformers", "peft", "pyarrow", "numba"}
    ours = "llmlora.api.chats, llmlora.api.models, llmlora.api.system"
    probe = f"import sys, {ours}; sys.exit(bool(set(sys.modules) & {heavy}))"

    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
