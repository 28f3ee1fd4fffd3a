"""What can go wrong between a client and a server, on demand.

A test puts faults into `StandIn.faults`; each strikes the first request whose path begins with its own, and is used up.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATIENCE = 30.0


@dataclass(kw_only=True)
class Fault:
    """Strikes after so many lines, or so many bytes, of an answer have gone."""

    path: str
    lines: int = 0
    nbytes: int | None = None

    def split(self, body: bytes) -> tuple[bytes, bytes] | None:
        """The part of `body` that still goes and the rest; None when all of it goes."""
        if self.nbytes is not None:
            if len(body) < self.nbytes:
                self.nbytes -= len(body)
                return None
            return body[: self.nbytes], body[self.nbytes :]
        pieces = body.split(b"\n")
        if len(pieces) <= self.lines:
            self.lines -= len(pieces) - 1
            return None
        kept = b"".join(piece + b"\n" for piece in pieces[: self.lines])
        return kept, body[len(kept) :]


@dataclass(kw_only=True)
class Cut(Fault):
    """The connection breaks."""


@dataclass(kw_only=True)
class Leave(Fault):
    """The connection breaks, and nobody answers from then on."""


@dataclass(kw_only=True)
class Hang(Fault):
    """The answer stays out until it is released; `reached` tells that it does."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass(kw_only=True)
class Answer(Fault):
    """Something else answers: a redirect, another server, nonsense."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


def redirect(path: str, to: str) -> Answer:
    """Another address is named."""
    return Answer(path=path, status=302, headers={"location": to})


class BrokenError(Exception):
    """Ends a connection in the middle of an answer."""


@dataclass(frozen=True)
class Seen:
    """A request that came: its JSON, or None."""

    method: str
    path: str
    host: str
    json: Any = None


class Faulty:
    """The application behind the faults, with a log of what it was asked."""

    def __init__(self, application: ASGIApp, leave: Callable[[], None]) -> None:
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.pending: list[Hang] = []  # released at the end, whatever happens
        self._application, self._leave = application, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        receive = await self._note(scope, receive)
        fault = next((one for one in self.faults if scope["path"].startswith(one.path)), None)
        if fault:
            self.faults.remove(fault)
        if isinstance(fault, Hang):
            self.pending.append(fault)
        if isinstance(fault, Answer):
            await Response(fault.body, fault.status, fault.headers)(scope, receive, send)
        else:
            await self._application(scope, receive, self._sender(fault, send) if fault else send)

    async def _note(self, scope: Scope, receive: Receive) -> Receive:
        """Log a request; its JSON is read once here and handed on."""
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        seen = [scope["method"], scope["path"], headers.get("host", "")]
        if headers.get("content-type") != "application/json":
            self.seen.append(Seen(*seen))
            return receive
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            self.seen.append(Seen(*seen, json.loads(body)))
        except ValueError:
            self.seen.append(Seen(*seen))
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return whole.pop() if whole else await receive()

        return replayed

    def _sender(self, fault: Fault, send: Send) -> Send:
        struck = False

        async def sender(message: Message) -> None:
            nonlocal struck
            parts = None if struck or message["type"] != "http.response.body" else fault.split(message["body"])
            if parts is None:
                await send(message)
                return
            struck = True
            await send({"type": "http.response.body", "body": parts[0], "more_body": True})
            await self._strike(fault)
            await send({**message, "body": parts[1]})

        return sender

    async def _strike(self, fault: Fault) -> None:
        if isinstance(fault, Hang):
            fault.reached.set()
            await asyncio.to_thread(fault.released.wait, PATIENCE)
            return
        if isinstance(fault, Leave):
            self._leave()
        raise BrokenError
