"""Answers that come piece by piece: server-sent events, or lines of JSON."""

from collections.abc import AsyncGenerator

import anyio
from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Stream(StreamingResponse):
    """Closes its source when it ends, also when the reader has gone."""

    def __init__(self, source: AsyncGenerator[str], status_code: int = 200) -> None:
        super().__init__(source, status_code, {"cache-control": "no-store", "x-accel-buffering": "no"})
        self.source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self.source.aclose()


class EventStream(Stream):
    media_type = "text/event-stream"


class LineStream(Stream):
    media_type = "application/x-ndjson"


def event(name: str, body: BaseModel) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {body.model_dump_json()}\n\n"


def line(body: BaseModel) -> str:
    return f"{body.model_dump_json()}\n"
