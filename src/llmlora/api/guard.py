"""The door: who may ask, from where, and how much at once.

It wraps the whole application and lets through what it knows; a new route is closed until somebody opens it here.
Every website that the user visits can send requests to this machine, so loopback is no protection: the host must be
ours (DNS rebinding), the origin must be ours (CSRF), and a secret is needed on every path below /api.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmlora.api.context import language_of
from llmlora.api.errors import plain_response
from llmlora.token import Token

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::\d{1,5})?")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({("POST", "/api/session")})  # beside GET and HEAD of what is not below /api: pages and /healthz
# bodies that may be large, counted by the route
UPLOAD = re.compile(r"/api/datasets/(?:upload|columns|[a-z0-9]{1,32}/file)")
MAX_BODY_BYTES = 2**20
# what a form of any website can send without being asked
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
CLIENT_HEADER = "x-llmlora"
HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(eq=False)
class Refused(Exception):
    """A request that does not pass."""

    status: int
    code: str


class Guard:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, token: Token, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self.app, self.token, self.hosts = app, token, LOOPBACK | allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            self._check(scope)
        except Refused as refused:
            response = _answer(refused, scope)
            await response(scope, receive, guarded_send)
            return
        limited = receive if UPLOAD.fullmatch(scope["path"]) else _counted(receive)
        await self.app(scope, limited, guarded_send)

    def _check(self, scope: Scope) -> None:
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        host = self._host(headers)
        page = method in ("GET", "HEAD") and path.startswith("/") and not path.startswith("/api")
        if not all(_same(origin, host) for origin in headers.getlist("origin")):
            raise Refused(403, "foreign_origin")
        followed_link = page and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not followed_link:
            raise Refused(403, "foreign_origin")
        if method not in SAFE_METHODS:
            kind = headers.get("content-type", "").split(";")[0].strip().lower()
            if kind in FORM_TYPES:
                raise Refused(415, "wrong_content_type")
        if not page and (method, path) not in OPEN:
            self._authenticate(scope, headers)

    def _host(self, headers: Headers) -> str:
        given = headers.getlist("host")
        found = HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
        if found is None:
            raise Refused(400, "bad_host")
        if found[1] not in self.hosts:
            raise Refused(400, "foreign_host")
        return given[0].lower()

    def _authenticate(self, scope: Scope, headers: Headers) -> None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if self.token.accepts(bearer.strip()):
                return
        else:
            cookie = Request(scope).cookies.get(cookie_name(scope))
            if cookie is None:
                raise Refused(401, "no_token")
            if self.token.accepts_cookie(cookie):
                if scope["method"] not in SAFE_METHODS and CLIENT_HEADER not in headers:
                    raise Refused(403, "foreign_origin")
                return
        if self.token.too_many_failures(_address(scope)):
            raise Refused(429, "too_many_tries")
        raise Refused(401, "no_token")


def cookie_name(scope: Scope) -> str:
    """Cookies do not tell ports apart, two servers on one machine must."""
    server = scope.get("server") or ("", 0)
    return f"llmlora_{server[1]}"


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == host


def _counted(receive: Receive) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return counted


def _answer(refused: Refused, scope: Scope) -> Response:
    response = plain_response(refused.status, refused.code, language_of(Request(scope)))
    if refused.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    if refused.status == 429:
        response.headers["retry-after"] = "60"
    return response
