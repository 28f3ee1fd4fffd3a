"""The routes of the stand-in, and how answers and errors are written.

Source: server/routes.go of Ollama (`GenerateRoutes`, `streamResponse`, `waitForStream`, `allowedHostsMiddleware`).
"""

import ipaddress
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from llmlora.errors import GgufError
from tests.ollama.standin.answers import Answers, whole
from tests.ollama.standin.create import create
from tests.ollama.standin.generations import Generation
from tests.ollama.standin.model import Model
from tests.ollama.standin.pull import Catalogue, pull
from tests.ollama.standin.refusal import Refused, not_found
from tests.ollama.standin.rendering import capabilities, template
from tests.ollama.standin.store import Store, parse

Asked = dict[str, Any]
HOSTS, SUFFIXES = ("", "localhost"), (".localhost", ".local", ".internal")


@dataclass
class Api:
    """What each path does."""

    store: Store
    generation: Generation
    answers: Answers
    catalogue: Catalogue = field(default_factory=dict)

    def application(self) -> ASGIApp:
        """All of it, for requests to a loopback address."""
        posts: dict[str, Callable[[Asked], Any]] = {
            "show": self.show,
            "pull": self.pull,
            "create": self.create,
            "copy": self.copy,
            "generate": self.answers.generate,
            "chat": self.answers.chat,
        }
        routes = [
            Route("/", lambda _: PlainTextResponse("Ollama is running"), methods=["GET", "HEAD"]),
            Route("/api/version", lambda _: JSONResponse({"version": self.generation.version})),
            Route("/api/tags", lambda _: JSONResponse(self.tags())),
            Route("/api/ps", lambda _: JSONResponse(self.answers.running())),
            *(Route(f"/api/{path}", _endpoint(does), methods=["POST"]) for path, does in posts.items()),
            Route("/api/delete", _endpoint(self.delete), methods=["DELETE"]),
            Route("/api/blobs/{digest}", self.head_blob, methods=["HEAD"]),
            Route("/api/blobs/{digest}", self.post_blob, methods=["POST"]),
        ]
        return _local(Router(routes))

    def tags(self) -> Asked:
        """The models, read from the disk."""
        listed = [Model(self.store, name).listed() for name in self.store.names()]
        return {"models": sorted(listed, key=lambda model: model["modified_at"], reverse=True)}

    def show(self, asked: Asked) -> Asked:
        """All about a model."""
        model = Model(self.store, parse(_name(asked)))
        rendering = {"template": template(model, self.generation)}
        return {**model.shown(), **rendering, "capabilities": capabilities(model, self.generation)}

    def pull(self, asked: Asked) -> Generator[Asked]:
        """Download a model of the catalogue."""
        return pull(self.store, self.catalogue, parse(_name(asked)))

    def create(self, asked: Asked) -> Generator[Asked]:
        """Make a model."""
        return create(self.store, self.generation, self.catalogue, asked)

    def copy(self, asked: Asked) -> None:
        """Give a model a second name."""
        source = self.store.existing(parse(asked["source"], f'source "{asked["source"]}" is invalid'))
        target = self.store.existing(parse(asked["destination"], f'destination "{asked["destination"]}" is invalid'))
        try:
            text = self.store.path(source).read_bytes()
        except FileNotFoundError:
            raise Refused(404, f'model "{asked["source"]}" not found') from None
        self.store.path(target).parent.mkdir(parents=True, exist_ok=True)
        self.store.path(target).write_bytes(text)

    def delete(self, asked: Asked) -> None:
        """Remove a model and the blobs that are its own."""
        name = self.store.existing(parse(_name(asked), f'name "{_name(asked)}" is invalid'))
        try:
            self.store.remove(name)
        except FileNotFoundError:
            raise not_found(_name(asked)) from None

    def head_blob(self, request: Request) -> Response:
        """Whether a file is there."""
        try:
            return Response(status_code=200 if self.store.blob(request.path_params["digest"]).exists() else 404)
        except Refused as error:
            return _refusal(error)

    async def post_blob(self, request: Request) -> Response:
        """Keep a file; one that is there already is not read again."""
        wanted = request.path_params["digest"]
        try:
            if self.store.blob(wanted).exists():
                return Response(status_code=200)
            with self.store.receiving() as upload:
                async for chunk in request.stream():
                    upload.write(chunk)
                digest, _, _ = upload.keep()
            if digest != wanted:
                raise Refused(400, f'digest mismatch, expected "{wanted}", got "{digest}"')
        except Refused as error:
            return _refusal(error)
        except ClientDisconnect:
            pass
        return Response(status_code=201)


def _endpoint(does: Callable[[Asked], Any]) -> Callable[[Request], Any]:
    """A route of what takes JSON and answers nothing, an object, or lines."""

    async def answer(request: Request) -> Response:
        body = await request.body()
        try:
            asked = json.loads(body)
        except ValueError:
            return _refusal(Refused(400, "invalid JSON" if body else "missing request body"))
        return await run_in_threadpool(_answered, does, asked)

    return answer


def _answered(does: Callable[[Asked], Any], asked: Asked) -> Response:
    try:
        said = does(asked)
        if said is None:
            return Response()
        if isinstance(said, dict):
            return JSONResponse(said)
        if asked.get("stream") is False:
            return JSONResponse(_last(said))
        first = next(said)  # what fails at once has a status of its own
    except (Refused, GgufError) as error:
        return _refusal(error)
    return _Streamed(_lines(first, said))


class _Streamed(StreamingResponse):
    """Lines, made no longer when the listener has gone."""

    def __init__(self, lines: Generator[bytes]) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._made = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self._made.close)


def _last(lines: Iterator[Asked]) -> Asked:
    """An answer without a stream."""
    lines = list(lines)
    if error := next((line["error"] for line in lines if "error" in line), None):
        raise Refused(500, error)
    return lines[-1] if "status" in lines[-1] else whole(iter(lines))


def _lines(first: Asked, rest: Generator[Asked]) -> Generator[bytes]:
    with closing(rest):
        try:
            yield _line(first)
            yield from (_line(one) for one in rest)
        except (Refused, GgufError) as error:
            yield _line({"error": str(error)})


def _line(said: Asked) -> bytes:
    return json.dumps(said).encode() + b"\n"


def _refusal(error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, error.status if isinstance(error, Refused) else 500)


def _name(asked: Asked) -> str:
    return asked.get("model") or asked.get("name") or ""


def _local(application: ASGIApp) -> ASGIApp:
    """403 for names that are not this machine's, so that no web page reaches a loopback server under its own name."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        allowed = _is_local(dict(scope["headers"]).get(b"host", b"").decode("latin-1"))
        await (application if allowed else Response(status_code=403))(scope, receive, send)

    return guarded


def _is_local(host: str) -> bool:
    name = host.lower() if host.endswith("]") else host.lower().rpartition(":")[0] or host.lower()
    with suppress(ValueError):
        number = ipaddress.ip_address(name.strip("[]"))
        return number.is_loopback or number.is_private or number.is_unspecified
    return name in HOSTS or name.endswith(SUFFIXES)
