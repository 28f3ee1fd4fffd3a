"""The live stream: everything once and in order, whatever happens to the connection, the server or the store."""

import asyncio
import json
import random
import threading
from contextlib import suppress

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from llmlora.api import hub as module
from llmlora.api.app import create_app
from llmlora.api.hub import Hub, Topics
from llmlora.store import events, jobs
from llmlora.store.database import Database
from llmlora.store.events import Line
from tests.api.app import context_at
from tests.api.server import serving, told, until

ALL = Topics(jobs=True, datasets=True, of_jobs=frozenset({"a"}))


@pytest.fixture
def database(tmp_path):
    opened = Database(f"sqlite:///{tmp_path}/hub.db")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)


def tell(database: Database, job_id: str | None, kind: str, /, *steps: int, **body: object) -> int:
    """Append events; returns the number of the last."""
    with database.writing() as connection:
        if job_id and jobs.fetch(connection, job_id) is None:
            connection.execute(jobs.job.insert(), [_row(job_id)])
        return events.append(connection, job_id, [Line(kind, step, json.dumps(body)) for step in steps])


def _row(job_id: str) -> dict[str, object]:
    zero = ("number", "epoch", "attempt", "lease_until", "not_before", "step", "checkpoint_step", "created_at")
    told = {"id": job_id, "kind": "train", "name": job_id, "spec": {}, "state": "succeeded", "desired": "run"}
    return {**dict.fromkeys(zero, 0), **told}


def watch(database: Database, scenario) -> object:
    """Run `scenario(hub)` while the hub lives."""

    async def run() -> object:
        hub = Hub(database)
        await hub.start()
        try:
            return await asyncio.wait_for(scenario(hub), 20)
        finally:
            await hub.stop()

    return asyncio.run(run())


async def take(stream, count: int) -> list[tuple[int, str]]:
    """Number and kind of the next `count` events."""
    found: list[tuple[int, str]] = []
    while len(found) < count:
        piece = await anext(stream)
        if piece.startswith("id: "):
            number, kind, _ = (line.partition(": ")[2] for line in piece.strip().split("\n"))
            found.append((int(number), kind))
    return found


def test_without_an_id_it_begins_now_and_says_where_that_is(database):
    old = tell(database, None, "dataset", 0)

    async def scenario(hub):
        stream = hub.stream(ALL, None)
        assert await take(stream, 1) == [(old, "hello")]
        new = await asyncio.to_thread(tell, database, None, "dataset", 0)
        assert await take(stream, 1) == [(new, "dataset")]
        await stream.aclose()
        assert not hub.watchers

    watch(database, scenario)


def test_what_came_since_the_id_is_told_and_then_what_comes(database, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 7)
    tell(database, "a", "step", *range(1, 51))

    async def scenario(hub):
        stream = hub.stream(ALL, 10)
        await take(stream, 1)
        await asyncio.to_thread(tell, database, "a", "step", *range(51, 101))
        assert [number for number, _ in await take(stream, 89)] == list(range(12, 101))

    watch(database, scenario)


def test_an_id_that_is_ahead_of_the_hub_but_in_the_store_is_no_reason_to_reset(database, monkeypatch):
    async def scenario(hub):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.3)
        await asyncio.sleep(0.02)  # the hub rests now, and does not see:
        seen = await asyncio.to_thread(tell, database, "a", "step", 1, 2, 3)
        stream = hub.stream(ALL, seen)
        await anext(stream)
        new = await asyncio.to_thread(tell, database, "a", "step", 4)
        assert await take(stream, 1) == [(new, "step")]

    watch(database, scenario)


@pytest.mark.parametrize(("after", "most"), [(99, 10_000), (2, 5)], ids=["of another database", "away for too long"])
def test_who_cannot_be_told_what_is_missing_starts_anew(database, monkeypatch, after, most):
    monkeypatch.setattr(module, "MOST_REPLAYED", most)
    newest = tell(database, "a", "step", *range(1, 11))

    async def scenario(hub):
        stream = hub.stream(ALL, after)
        assert await take(stream, 1) == [(newest, "reset")]
        new = await asyncio.to_thread(tell, database, "a", "step", 11)
        assert await take(stream, 1) == [(new, "step")]

    watch(database, scenario)


def test_who_is_too_slow_is_told_to_start_anew_and_hears_what_follows(database):
    async def scenario(hub):
        slow, quick = hub.stream(ALL, None), hub.stream(ALL, None)
        await take(slow, 1)
        await take(quick, 1)
        for first in range(0, 600, 100):
            last = await asyncio.to_thread(tell, database, "a", "step", *range(first, first + 100))
            assert (await take(quick, 100))[-1][0] == last
        assert all(watcher.queue.qsize() <= module.QUEUE for watcher in hub.watchers)
        heard = await take(slow, 1)
        assert heard[0][1] == "reset"
        follows = await take(slow, last - heard[0][0])
        assert [number for number, _ in follows] == list(range(heard[0][0] + 1, last + 1))

    watch(database, scenario)


def test_each_hears_its_topics_only(database):
    wanted = {
        Topics(jobs=True): {"state a", "state b", "deleted b"},
        Topics(datasets=True): {"dataset None", "deleted d"},
        Topics(chats=True): {"chat None", "deleted c"},
        Topics(of_jobs=frozenset({"b"})): {"state b", "step b", "rewound b", "deleted b"},
    }
    tell(database, "a", "state", 0, of="a")
    tell(database, "a", "step", 1, of="a")
    tell(database, "b", "state", 0, of="b")
    tell(database, "b", "step", 1, of="b")
    tell(database, "b", "rewound", 0, of="b")
    tell(database, None, "dataset", 0)
    tell(database, None, "deleted", 0, job_id="b", of="b")
    tell(database, None, "chat", 0)
    tell(database, None, "deleted", 0, chat_id="c", of="c")
    last = tell(database, None, "deleted", 0, dataset_id="d", of="d")

    async def scenario(hub):
        for topics, kinds in wanted.items():
            heard, stream = set(), hub.stream(topics, 0)
            with suppress(TimeoutError):
                while True:
                    piece = await asyncio.wait_for(anext(stream), 0.2)
                    if "data: " in piece:
                        data = json.loads(piece.partition("data: ")[2])
                        heard.add(f"{piece.split('event: ')[1].split()[0]} {data['body'].get('of')}")
            assert heard == kinds

    watch(database, scenario)
    assert last == 10


def test_a_rewound_run_is_told_again_from_the_step_it_went_back_to(database):
    tell(database, "a", "step", *range(1, 6))

    async def scenario(hub):
        stream = hub.stream(ALL, 0)
        await take(stream, 5)

        def rewind() -> None:
            with database.writing() as connection:
                events.forget(connection, "a", 4)
                events.tell(connection, "a", "rewound", {}, 3)

        await asyncio.to_thread(rewind)
        await asyncio.to_thread(tell, database, "a", "step", 4, 5)
        assert await take(stream, 3) == [(6, "rewound"), (7, "step"), (8, "step")]
        assert await take(hub.stream(ALL, 0), 6) == [
            *((n, "step") for n in (1, 2, 3)),
            (6, "rewound"),
            (7, "step"),
            (8, "step"),
        ]

    watch(database, scenario)


def test_a_store_that_is_away_for_a_while_ends_no_stream(database, monkeypatch):
    newest = tell(database, "a", "step", 1, 2, 3)
    reading, failed = database.reading, []

    def away():
        failed.append(1)
        raise OperationalError("select", {}, ConnectionError("away"))

    async def scenario(hub):
        live, late = hub.stream(ALL, newest), hub.stream(ALL, 1)
        await anext(live)
        await anext(late)
        waiting = [asyncio.create_task(take(live, 1)), asyncio.create_task(take(late, 3))]
        monkeypatch.setattr(database, "reading", away)
        while len(failed) < 5:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(database, "reading", reading)
        await asyncio.to_thread(tell, database, "a", "step", 4)
        assert await waiting[0] == [(4, "step")]
        assert await waiting[1] == [(2, "step"), (3, "step"), (4, "step")]

    watch(database, scenario)


def test_silence_is_filled_with_pings(database, monkeypatch):
    monkeypatch.setattr(module, "PING_SECONDS", 0.01)

    async def scenario(hub):
        stream = hub.stream(ALL, None)
        await take(stream, 1)
        assert [await anext(stream) for _ in range(2)] == [module.PING] * 2

    watch(database, scenario)


def test_streams_end_with_the_hub_and_when_it_hangs_up(database):
    async def scenario(hub):
        first, second = hub.stream(ALL, None), hub.stream(ALL, None)
        for stream, end in ((first, hub.hang_up), (second, hub.stop)):
            await take(stream, 1)
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            result = end()
            if result is not None:
                await result
            assert await waiting == ""
            assert [piece async for piece in stream] == []

    watch(database, scenario)


# the routes


@pytest.fixture
def client(tmp_path):
    context = context_at(tmp_path)
    with TestClient(create_app(context), headers={"accept-language": "en"}) as running:
        running.context = context
        yield running


def test_one_too_many_is_asked_to_come_back(client, monkeypatch):
    monkeypatch.setattr(module, "MOST_WATCHERS", 0)

    answer = client.get("/api/events")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert answer.headers["retry-after"] == "10"


@pytest.mark.parametrize("topics", ["", "all", "job:", "job:../x", "jobs,", "jobs;datasets", "jobs," * 64 + "jobs"])
def test_unknown_topics_are_refused(client, topics):
    assert client.get("/api/events", params={"topics": topics}).status_code == 422


def test_a_job_that_is_not_there_has_no_stream(client):
    assert client.get("/api/training/jobs/nobody/events").status_code == 404


def test_a_store_that_is_away_is_said_to_be(client, monkeypatch):
    def away():
        raise OperationalError("select", {}, ConnectionError("postgresql://someone:s3cret@db"))

    monkeypatch.setattr(client.context.database, "reading", away)
    answer = client.get("/api/training/jobs/nobody/events")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_away")
    assert "s3cret" not in answer.text


def test_a_store_whose_disk_is_full_says_what_to_do(client, monkeypatch):
    class Full(Exception):
        sqlite_errorname = "SQLITE_FULL"

    def full():
        raise OperationalError("insert", {}, Full("database or disk is full"))

    monkeypatch.setattr(client.context.database, "reading", full)
    answer = client.get("/api/training/jobs/nobody/events")

    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "store_full")


# REL-16, on the wire


def follow_with_drops(tmp_path, connections: int, kills: int) -> None:
    """Many short connections to a server that dies now and then, while events are written: nothing lost or doubled."""
    total, random_ = connections * 8, random.Random(16)
    with serving(tmp_path / "home") as server:
        until(lambda: server.status("/healthz") == 200)
        database = Database(f"sqlite:///{tmp_path}/home/llmlora.db")
        tell(database, "a", "state", 0)
        tell(database, "b", "state", 0)
        heard, used = [], 0

        def write() -> None:
            for n in range(total):
                tell(database, "a", "step", n)
                tell(database, "b", "step", n)

        writer = threading.Thread(target=write)
        writer.start()
        last = 2
        while len(heard) < total:
            if used in {connections * k // (kills + 1) for k in range(1, kills + 1)}:
                server.child("llmlora.api").kill()
            used += 1
            stop_after = random_.randrange(0, 12)
            with (
                suppress(ConnectionError, TimeoutError),
                server.ask("/api/events?topics=job:a&after=0", **{"last-event-id": str(last)}) as answer,
            ):
                for event in told(answer):
                    assert event.kind == "step"
                    heard.append(event.data["step"])
                    last = event.id
                    if len(heard) >= total or (stop_after := stop_after - 1) < 0:
                        break
        writer.join()
        database.close()
    assert used >= connections
    assert heard == list(range(total))


def test_a_hundred_reconnects_lose_and_repeat_nothing(tmp_path):
    follow_with_drops(tmp_path, 100, kills=2)


@pytest.mark.slow
def test_a_thousand_reconnects_lose_and_repeat_nothing(tmp_path):
    follow_with_drops(tmp_path, 1000, kills=10)
