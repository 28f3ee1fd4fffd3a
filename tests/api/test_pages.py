"""The interface as files: found by their names, with a policy that names their scripts, and nothing beside them."""

import re
from base64 import b64encode
from contextlib import closing
from hashlib import sha256

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from llmlora.api import errors, pages
from llmlora.api.app import create_server
from tests.api.app import context_at

INLINE = 'self.__next_f.push([1,"ござる"])'
PAGE = f'<!doctype html><html><head><script src="/_next/static/a.js" async=""></script></head><script>{INLINE}</script>'


@pytest.fixture
def built(tmp_path):
    """What `next build` exports, and a secret beside it."""
    root = tmp_path / "web"
    for name, content in {
        "index.html": PAGE,
        "jobs/index.html": PAGE.replace("[1,", "[2,"),
        "404.html": PAGE.replace("[1,", "[404,"),
        "_next/static/a.js": "1",
        "favicon.ico": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    (tmp_path / "secret").write_text("s3cret")
    (root / "link").symlink_to(tmp_path / "secret")
    return root


@pytest.fixture
def client(built):
    app = FastAPI()
    errors.install(app)
    app.get("/api/known")(lambda: {})
    pages.install(app, built)
    return TestClient(app, "http://127.0.0.1:8000", headers={"accept-language": "en"})


def hash_of(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


@pytest.mark.parametrize(("path", "number"), [("/", 1), ("/jobs/", 2), ("/jobs", 2), ("/nothing", 404), ("/x/y", 404)])
def test_a_page_may_run_its_own_inline_scripts_and_no_others(client, path, number):
    answer = client.get(path)

    assert answer.status_code == (404 if number == 404 else 200)
    policy = answer.headers["content-security-policy"]
    assert re.findall(r"'sha256-[^']*'", policy) == [hash_of(INLINE.replace("[1,", f"[{number},"))]
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-cache"


def test_only_files_named_by_their_content_are_kept_for_ever(client):
    assert "immutable" in client.get("/_next/static/a.js").headers["cache-control"]
    assert client.get("/favicon.ico").headers["cache-control"] == "no-cache"
    assert client.get("/_next/static/gone.js").headers["cache-control"] == "no-cache"


def test_a_directory_is_named_with_its_slash(client):
    answer = client.get("/jobs", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (307, "http://127.0.0.1:8000/jobs/")


def test_the_api_is_never_answered_with_a_page(client):
    assert client.get("/api/unknown").json()["error"]["code"] == "no_such_page"
    assert client.post("/api/known").json()["error"]["code"] == "method_not_allowed"
    assert client.post("/jobs/").status_code == 405


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["..", "%2e%2e", "/", "//", "\\", "%5c", "%2f", "%00", "link", "secret", "web", "C:", "x" * 300]
        )
    )
)
def test_no_name_leads_out_of_the_directory(client, parts):
    answer = client.get(f"http://127.0.0.1:8000/{''.join(parts)}")

    assert answer.status_code in (200, 404)
    assert "s3cret" not in answer.text


def test_without_pages_it_says_how_to_build_them(tmp_path):
    app = FastAPI()
    pages.install(app, tmp_path)
    client = TestClient(app)

    assert "make start" in client.get("/").text
    assert client.head("/").status_code == 200


def test_behind_the_door_pages_keep_their_policy_and_need_no_token(built, tmp_path, monkeypatch):
    monkeypatch.setattr(pages.install, "__defaults__", (built,))
    with closing(context_at(tmp_path)) as context:
        client = TestClient(create_server(context), "http://127.0.0.1:8000")
        answer = client.get("/")

        assert hash_of(INLINE) in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/api/unknown").status_code == 401
