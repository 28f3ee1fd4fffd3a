"""The door: SEC-01 to SEC-06 of the threat model, over every route there is."""

import socket
from contextlib import closing
from itertools import product

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.testclient import TestClient

from llmlora.api import guard
from llmlora.api.app import create_app
from llmlora.api.guard import HEADERS, Guard
from tests.api.app import context_at
from tests.api.server import serving

OURS = "http://127.0.0.1:8000"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PLACES = ("/", "/_next/static/x.js", "/healthz", "/api/datasets", "/api/events", "/api/session", "/api/nothing")
OPEN = {("GET", "/healthz"), ("HEAD", "/healthz"), ("POST", "/api/session"), ("GET", "/"), ("HEAD", "/")}

probe = APIRouter(prefix="/api/probe")


@probe.api_route("", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def answer(body: dict | None = None) -> dict:
    return {"length": len(str(body))}


@probe.get("/broken")
def fail() -> None:
    raise RuntimeError("unforeseen")


@pytest.fixture
def here(tmp_path):
    context = context_at(tmp_path)
    with closing(context):
        yield context


@pytest.fixture
def app(here):
    app = create_app(here)
    app.include_router(probe)
    return app


@pytest.fixture
def client(app, here):
    guarded = Guard(app, here.token, frozenset({"box.example"}))
    with TestClient(guarded, OURS, raise_server_exceptions=False, headers={"accept-language": "en"}) as running:
        yield running


@pytest.fixture
def bearer(here):
    return {"authorization": f"Bearer {here.token.value}"}


@pytest.fixture
def signed_in(client, here):
    assert client.post("/api/session", json={"token": here.token.value}).status_code == 204
    return client


def routes_of(app) -> list[str]:
    """Every path of the application, its parameters filled in."""
    paths = [context.path for context in iter_route_contexts(app.routes)]
    return [path.replace("{name:path}", "x").replace("{", "").replace("}", "") for path in paths]


# SEC-02: nothing without a credential but what is named here


def test_every_route_and_method_asks_for_a_credential(app, client):
    paths = routes_of(app)
    assert len(paths) > 35

    for path in paths:
        for method in METHODS:
            status = client.request(method, path).status_code
            assert (status != 401) == ((method, path) in OPEN), f"{method} {path}: {status}"


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/%2e%2e/healthz", "/x/%2e%2e/api/datasets", "/API", "//api"])
def test_no_spelling_of_a_path_gets_past(client, path):
    for method in METHODS:
        status = client.request(method, f"{OURS}{path}").status_code
        assert status in (401, 404), f"{method} {path}: {status}"


def test_the_token_opens_as_bearer_and_as_cookie(client, bearer, here):
    assert client.get("/api/datasets", headers=bearer).status_code == 200

    traded = client.post("/api/session", json={"token": here.token.value})

    assert client.get("/api/datasets").status_code == 200
    cookie = traded.headers["set-cookie"]
    assert cookie.startswith("llmlora_8000=")
    assert all(part in cookie for part in ("HttpOnly", "Path=/", "SameSite=strict"))
    assert here.token.value not in cookie


@pytest.mark.parametrize(
    "credential",
    [
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer \xe9\xff"},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": "Bearer"},
        {"cookie": "llmlora_8000="},
        {"cookie": "llmlora_8000=wrong"},
        {"cookie": "llmlora_9000=wrong"},
    ],
)
def test_a_wrong_credential_opens_nothing(client, credential):
    headers = {name: value.encode("latin-1") for name, value in credential.items()}
    assert client.get("/api/datasets", headers=headers).status_code == 401


def test_the_token_in_the_address_opens_nothing(client, here):
    assert client.get(f"/api/datasets?token={here.token.value}").status_code == 401


def test_a_wrong_bearer_is_not_saved_by_a_cookie(signed_in):
    assert signed_in.get("/api/datasets", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_signing_out_everywhere_shuts_others_out_at_once(signed_in, here, bearer):
    other = TestClient(signed_in.app, OURS, cookies=dict(signed_in.cookies))
    assert other.get("/api/datasets").status_code == 200

    assert signed_in.delete("/api/session", headers={"x-llmlora": "1"}).status_code == 204

    assert signed_in.get("/api/datasets").status_code == 200
    assert other.get("/api/datasets").status_code == 401
    assert other.get("/api/datasets", headers=bearer).status_code == 401


# SEC-03: the host


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]", "[::1]:8000", "box.example"])
def test_our_names_are_answered(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8000",
        "evil.example/?x=127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1:8000:9",
        "127.0.0.1:",
        "127.0.0.1 ",
        "127.0.0.1\t",
        "127.0.0.2",
        "2130706433",
        "[::1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",  # noqa: S104 - a name here
        "",
    ],
)
def test_foreign_and_malformed_hosts_reach_nothing(client, bearer, host):
    for method, path in product(METHODS, PLACES):
        answer = client.request(method, path, headers={"host": host, "x-forwarded-host": "127.0.0.1", **bearer})
        assert answer.status_code == 400, f"{method} {path}"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("home")) as server:
        assert server.status("/healthz") == 200
        yield server


@pytest.mark.parametrize(
    "request_lines",
    [
        "GET /healthz HTTP/1.0\r\n",
        "GET /healthz HTTP/1.1\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n",
        "GET /healthz HTTP/1.0\r\nHost: a/?x=\r\n",
        "GET /healthz HTTP/1.0\r\nX-Forwarded-Host: 127.0.0.1\r\n",
    ],
)
def test_on_the_wire_exactly_one_good_host_is_needed(real, request_lines):
    with socket.create_connection(("127.0.0.1", real.port), timeout=10) as raw:
        raw.sendall(f"{request_lines}\r\n".encode())
        assert b" 400 " in raw.makefile("rb").readline()


@pytest.mark.parametrize("target", ["http://127.0.0.1/api/datasets", "http://evil.example/", "*", "api/datasets"])
def test_on_the_wire_a_target_that_is_no_path_reaches_nothing(real, target):
    with socket.create_connection(("127.0.0.1", real.port), timeout=10) as raw:
        raw.sendall(f"GET {target} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert raw.makefile("rb").readline().split()[1] in (b"400", b"401", b"404")


# SEC-04: the origin

FOREIGN = (
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": "http://localhost:8000"},
    {"origin": "http://127.0.0.1:8000.evil.example"},
    {"origin": "file://127.0.0.1:8000"},
    {"origin": "http://["},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)


@pytest.mark.parametrize("origin", FOREIGN, ids=str)
def test_foreign_origins_are_refused_with_any_method_and_credential(signed_in, bearer, origin):
    for method, path, credential in product(METHODS, PLACES, ({"x-llmlora": "1"}, bearer)):
        answer = signed_in.request(method, path, headers={**origin, **credential})
        assert answer.status_code == 403, f"{method} {path}"
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_our_own_pages_may_do_everything(signed_in):
    own = {"origin": OURS, "sec-fetch-site": "same-origin", "x-llmlora": "1"}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert signed_in.request(method, "/api/probe", headers=own).status_code == 200


def test_a_link_on_another_website_may_lead_to_a_page_but_not_to_the_api(signed_in):
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert signed_in.get("/", headers=followed).status_code == 200
    assert signed_in.get("/api/datasets", headers=followed).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_cookie_alone_changes_nothing(signed_in, method, bearer):
    assert signed_in.request(method, "/api/probe").status_code == 403
    assert signed_in.request(method, "/api/probe", headers=bearer).status_code == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "Text/Plain"])
def test_what_a_form_can_send_is_refused(client, bearer, kind):
    for path in ("/api/probe", "/api/session", "/api/datasets/upload"):
        assert client.post(path, content=b"{}", headers={"content-type": kind, **bearer}).status_code == 415


# SEC-05: the headers


def test_every_answer_has_the_headers(client, bearer):
    answers = [
        client.get("/"),
        client.get("/healthz"),
        client.get("/nothing"),
        client.get("/api/datasets"),
        client.get("/api/datasets", headers=bearer),
        client.get("/api/nothing", headers=bearer),
        client.patch("/api/datasets", headers=bearer),
        client.get("/api/probe/broken", headers=bearer),
        client.post("/api/session", json={"token": 1}),
        client.get("/healthz", headers={"host": "evil.example"}),
        client.get("/healthz", headers={"origin": "null"}),
        client.post("/api/session", content=b"x", headers={"content-type": "text/plain"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 404, 401, 200, 404, 405, 500, 422, 400, 403, 415]
    for answer in answers:
        for name in HEADERS:
            assert name in answer.headers, f"{answer.request.url}: {name}"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        if answer.status_code >= 400 and answer.url.path != "/nothing":  # which is a page where pages are built
            assert set(answer.json()["error"]) == {"code", "message", "hint", "fields"}


def test_what_the_api_says_is_not_kept_by_the_browser(client, bearer):
    assert client.get("/api/session", headers=bearer).headers["cache-control"] == "no-store"


# SEC-06: guessing


def test_guessing_is_slowed_down_and_the_owner_still_gets_in(client, here, bearer):
    guesses = [client.get("/api/datasets", headers={"authorization": f"Bearer {n}"}).status_code for n in range(8)]
    trades = [client.post("/api/session", json={"token": "wrong"}) for _ in range(4)]

    assert guesses == [401] * 8
    assert [answer.status_code for answer in trades] == [401, 401, 429, 429]
    assert trades[-1].headers["retry-after"] == "60"
    assert client.get("/api/datasets", headers=bearer).status_code == 200
    assert client.post("/api/session", json={"token": here.token.value}).status_code == 204


# SEC-07: the size


def test_a_body_is_counted_while_it_is_read(client, bearer):
    def endless():
        for _ in range(64):
            yield b'"' + b"x" * 65536

    json_type = {"content-type": "application/json", **bearer}
    large = client.post("/api/probe", content=b'{"a": "' + b"x" * guard.MAX_BODY_BYTES + b'"}', headers=json_type)

    assert large.status_code == 413
    assert client.post("/api/probe", content=endless(), headers=json_type).status_code == 413
    assert client.post("/api/probe", json={"a": "x" * 10_000}, headers=bearer).status_code == 200


def test_every_route_of_a_file_is_known_to_the_door(app):
    files = [
        route.path_format
        for route in (context.route for context in iter_route_contexts(app.routes))
        if isinstance(route, APIRoute) and "application/octet-stream" in str(route.openapi_extra)
    ]

    assert len(files) == 3
    for path in files:
        assert guard.UPLOAD.fullmatch(path.replace("{dataset_id}", "abc")), path
