"""The live stream: one look at the store for all who watch, a bounded queue for each.

A watcher names the last event it knows. What came since is read from the store, then live events follow, each with
its number as id: after a drop the browser asks for what it missed, and gets it once. Who is too slow, or has been away
too long, is told to `reset`: to load what it shows anew.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from llmlora.store import events
from llmlora.store.database import Database, Unreachable
from llmlora.store.events import Event

POLL_SECONDS = 0.2
PING_SECONDS = 15.0
QUEUE = 256
PAGE = 500
MOST_REPLAYED = 10_000
MOST_WATCHERS = 2000
RETRY = "retry: 2000\n\n"
PING = ": still here\n\n"


@dataclass(frozen=True)
class Topics:
    """What a watcher wants to hear."""

    jobs: bool = False  # the states of all jobs
    datasets: bool = False
    of_jobs: frozenset[str] = frozenset()  # everything about these

    def __contains__(self, event: Event) -> bool:
        if event.job_id in self.of_jobs:
            return True
        return (self.jobs and event.kind in ("state", "deleted")) or (
            self.datasets and event.kind in ("dataset", "deleted")
        )


@dataclass(eq=False)
class Watcher:
    """One open stream. None in its queue means: reset."""

    topics: Topics
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(QUEUE + 1))


class Hub:
    """Reads new events from the store and hands them to the watchers."""

    def __init__(self, database: Database) -> None:
        self.database, self.watchers = database, set[Watcher]()
        self.last = 0
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def start(self) -> None:
        self.last = await run_in_threadpool(self._newest)
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """End all streams."""
        self._closing.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for watcher in self.watchers:
            _tell(watcher, None)

    @property
    def full(self) -> bool:
        return len(self.watchers) >= MOST_WATCHERS

    async def stream(self, topics: Topics, after: int | None) -> AsyncGenerator[str]:
        """Server-sent events from `after` on, or from now on."""
        watcher = Watcher(topics)
        begin = self.last  # what is newer comes through the queue
        self.watchers.add(watcher)
        try:
            yield RETRY
            if after is None:
                yield _message("hello", {}, begin)
            else:
                async for piece in self._replay(topics, after, begin):
                    yield piece
            while not self._closing.is_set():
                yield await _next(watcher)
        finally:
            self.watchers.discard(watcher)

    async def _replay(self, topics: Topics, after: int, begin: int) -> AsyncGenerator[str]:
        if after > begin or begin - after > MOST_REPLAYED:  # of another database, or away for too long
            yield _message("reset", {}, begin)
            return
        while after < begin:
            page = await run_in_threadpool(self._after, after)
            for event in page:
                if event.seq > begin:
                    return
                if event in topics:
                    yield _written(event)
            if not page:
                return
            after = page[-1].seq

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with suppress(*Unreachable):  # the store is away: what happens meanwhile is told later
                while page := await run_in_threadpool(self._after, self.last):
                    for watcher in self.watchers:
                        for event in page:
                            if event in watcher.topics:
                                _tell(watcher, event)
                    self.last = page[-1].seq

    def _newest(self) -> int:
        with self.database.reading() as connection:
            return events.newest(connection)

    def _after(self, seq: int) -> list[Event]:
        with self.database.reading() as connection:
            return events.after(connection, seq, PAGE)


def _tell(watcher: Watcher, event: Event | None) -> None:
    """Queue an event; one too many turns the queue into a reset."""
    if event is None or watcher.queue.qsize() >= QUEUE:
        while not watcher.queue.empty():
            watcher.queue.get_nowait()
        event = None
    watcher.queue.put_nowait(event)


async def _next(watcher: Watcher) -> str:
    try:
        event = await asyncio.wait_for(watcher.queue.get(), PING_SECONDS)
    except TimeoutError:
        return PING
    return _message("reset", {}, None) if event is None else _written(event)


def _written(event: Event) -> str:
    return _message(event.kind, {"job_id": event.job_id, "step": event.step, "body": json.loads(event.body)}, event.seq)


def _message(kind: str, data: dict[str, object], seq: int | None) -> str:
    number = "" if seq is None else f"id: {seq}\n"
    return f"{number}event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
