"""The live stream: one look at the store for all who watch, a bounded queue for each.

A watcher names the last event it knows. What came since is read from the store, then live events follow, each with
its number as id: after a drop the browser asks for what it missed, and gets it once. Who is too slow, or has been away
too long, is told to `reset`: to load what it shows anew.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from llmlora.store import events
from llmlora.store.database import Database, Unreachable
from llmlora.store.events import Event

POLL_SECONDS = 0.2
PING_SECONDS = 15.0
QUEUE = 256
PAGE = 500
THREADS = 4  # of our own: many who come back at once do not keep the routes from theirs
MOST_REPLAYED = 10_000
MOST_WATCHERS = 2000
RETRY = "retry: 2000\n\n"
PING = ": still here\n\n"

T = TypeVar("T")


@dataclass(frozen=True)
class Topics:
    """What a watcher wants to hear."""

    jobs: bool = False  # the states of all jobs
    datasets: bool = False
    chats: bool = False
    of_jobs: frozenset[str] = frozenset()  # everything about these

    def __contains__(self, event: Event) -> bool:
        if event.kind == "deleted":
            gone = json.loads(event.body)
            if "job_id" in gone:
                return self.jobs or gone["job_id"] in self.of_jobs
            return self.chats if "chat_id" in gone else self.datasets
        if event.job_id in self.of_jobs:
            return True
        return {"state": self.jobs, "dataset": self.datasets, "chat": self.chats}.get(event.kind, False)


@dataclass(eq=False)
class Watcher:
    """One open stream. Events up to `known` it has, or is told otherwise."""

    topics: Topics
    known: int
    over: bool = False
    queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def tell(self, event: Event, text: str) -> None:
        """Queue an event; one too many turns the whole queue into a reset."""
        if event.seq <= self.known or event not in self.topics:
            return
        if self.queue.qsize() < QUEUE:
            self.queue.put_nowait(text)
        else:
            self.reset(event.seq)

    def reset(self, seq: int) -> None:
        """Everything up to `seq` has to be loaded anew."""
        self._clear()
        self.known = seq
        self.queue.put_nowait(_message("reset", {}, seq))

    def end(self) -> None:
        self._clear()
        self.over = True
        self.queue.put_nowait("")

    async def next(self) -> str:
        """The next piece of the stream, a ping when there is none for long."""
        try:
            return await asyncio.wait_for(self.queue.get(), PING_SECONDS)
        except TimeoutError:
            return PING

    def _clear(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()


class Hub:
    """Reads new events from the store and hands them to the watchers."""

    def __init__(self, database: Database) -> None:
        self.database, self.watchers = database, set[Watcher]()
        self.last = 0
        self._threads = anyio.CapacityLimiter(THREADS)
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.last = await self._read(events.newest)
        self._following = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """End all streams; again is no harm."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
            self._following = None
        self.hang_up()

    def hang_up(self) -> None:
        """End the streams that are open; who may, comes back."""
        for watcher in self.watchers:
            watcher.end()

    @property
    def full(self) -> bool:
        return len(self.watchers) >= MOST_WATCHERS

    async def stream(self, topics: Topics, after: int | None) -> AsyncGenerator[str]:
        """Server-sent events from `after` on, or from now on."""
        begin = self.last  # what is newer comes through the queue
        watcher = Watcher(topics, known=max(begin, after or 0), over=self._following is None)
        self.watchers.add(watcher)
        try:
            yield RETRY
            if after is None:
                yield _message("hello", {}, begin)
            else:
                async for text in self._replay(watcher, after, begin):
                    yield text
            while not watcher.over:
                yield await watcher.next()
        finally:
            self.watchers.discard(watcher)

    async def _replay(self, watcher: Watcher, after: int, begin: int) -> AsyncGenerator[str]:
        # an id that is ahead of us is quicker than our next look at the store, or of another database
        foreign = after > begin and after > await self._read(events.newest)
        if foreign or begin - after > MOST_REPLAYED:
            watcher.reset(self.last)
            return
        while after < begin and not watcher.over:
            page = await self._read(events.after, after, PAGE)
            for event in page:
                if event.seq <= begin and event in watcher.topics:
                    yield _written(event)
            after = page[-1].seq if page else begin

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            while page := await self._read(events.after, self.last, PAGE):
                for event in page:
                    text = _written(event)
                    for watcher in self.watchers:
                        watcher.tell(event, text)
                self.last = page[-1].seq

    async def _read(self, query: Callable[..., T], *arguments: int) -> T:
        """Ask the store, and while it is away ask again: what happens meanwhile is told later."""
        while True:
            with suppress(*Unreachable):
                return await anyio.to_thread.run_sync(self._ask, query, *arguments, limiter=self._threads)
            await asyncio.sleep(POLL_SECONDS)

    def _ask(self, query: Callable[..., T], *arguments: int) -> T:
        with self.database.reading() as connection:
            return query(connection, *arguments)


def _written(event: Event) -> str:
    return _message(event.kind, {"job_id": event.job_id, "step": event.step, "body": json.loads(event.body)}, event.seq)


def _message(kind: str, data: dict[str, object], seq: int) -> str:
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
