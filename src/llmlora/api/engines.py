"""The models in memory that the chats share: few, the least recently used makes room, an idle one goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import anyio
from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from llmlora.adapter import WEIGHTS
from llmlora.chat.session import Session
from llmlora.model.source import Base

MOST_LOADED = 2
IDLE_SECONDS = 300.0

Key = tuple[str, str | None]  # the base's digest, and which file is beside it
Outlook = Literal["ready", "loading", "busy"]


@dataclass
class Loaded:
    """A session and what ends it; `timer` ends it when nobody comes back."""

    session: Session
    end: ExitStack
    timer: asyncio.TimerHandle | None = None


class Engines:
    """A pool. An engine answers one question at a time; who comes meanwhile waits."""

    def __init__(self) -> None:
        self._idle: dict[Key, Loaded] = {}  # least recently used first
        self._busy: set[Key] = set()
        self._changed = asyncio.Condition()
        self._ending: set[asyncio.Future[None]] = set()

    @asynccontextmanager
    async def using(self, base: Base, adapter: Path | None) -> AsyncIterator[Session]:
        """A session with this model, for us alone until the block ends.

        Raises:
            EngineFailed: the engine refuses one of the files.
        """
        key = _key(base, adapter)
        async with self._changed:
            await self._changed.wait_for(lambda: key not in self._busy and len(self._busy) < MOST_LOADED)
            self._busy.add(key)
            loaded = self._take(key)
        try:
            loaded = loaded or await self._load(base.path, adapter)
            try:
                yield loaded.session
            except Exception:  # an engine that failed is not used again
                await run_in_threadpool(loaded.end.close)
                raise
            except BaseException:  # only the listener has gone
                self._keep(key, loaded)
                raise
            self._keep(key, loaded)
        finally:
            self._busy.remove(key)
            with anyio.CancelScope(shield=True):
                async with self._changed:
                    self._changed.notify_all()

    async def outlook(self, base: Base, adapter: Path | None) -> Outlook:
        """What who asks now will wait for: nothing, the loading of the model, or the answer to someone else."""
        key = _key(base, adapter)
        if key in self._busy or len(self._busy) >= MOST_LOADED:
            return "busy"
        return "ready" if key in self._idle else "loading"

    async def close(self) -> None:
        """End all that are not answering; those that are end with their answers' streams."""
        for key in list(self._idle):
            self._unload(key)
        await self._ended()

    def _take(self, key: Key) -> Loaded | None:
        """The engine if it is loaded; otherwise there is room for it now."""
        if loaded := self._idle.pop(key, None):
            if loaded.timer:
                loaded.timer.cancel()
            return loaded
        if len(self._idle) + len(self._busy) > MOST_LOADED:
            self._unload(next(iter(self._idle)))
        return None

    def _keep(self, key: Key, loaded: Loaded) -> None:
        loaded.timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._unload, key)
        self._idle[key] = loaded

    def _unload(self, key: Key) -> None:
        loaded = self._idle.pop(key)
        if loaded.timer:
            loaded.timer.cancel()
        ending = asyncio.get_running_loop().run_in_executor(None, loaded.end.close)
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _load(self, model: Path, adapter: Path | None) -> Loaded:
        """Start an engine. The thread is waited for even when the listener has gone: no child is lost."""
        await self._ended()  # whose memory it needs
        return await run_in_threadpool(_open, model, adapter)

    async def _ended(self) -> None:
        if self._ending:
            await asyncio.wait(self._ending)


def _key(base: Base, adapter: Path | None) -> Key:
    """An adapter's file as it is now. It may be a merged model: gigabytes, too many to hash for each message."""
    if adapter is None:
        return base.digest, None
    status = (adapter / WEIGHTS if adapter.is_dir() else adapter).stat()
    return base.digest, f"{adapter} {status.st_size} {status.st_mtime_ns}"


def _open(model: Path, adapter: Path | None) -> Loaded:
    with ExitStack() as stack:
        session = Session(model, adapter)
        stack.callback(session.close)
        stack.enter_context(session.renderer)
        return Loaded(session, stack.pop_all())


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Engines]]:
    """The pool of an app, as `request.state.engines`."""
    engines = Engines()
    try:
        yield {"engines": engines}
    finally:
        await engines.close()


def engines_of(request: Request) -> Engines:
    """The pool of the app that serves this request."""
    engines: Engines = request.state.engines
    return engines


Pool = Annotated[Engines, Depends(engines_of)]
