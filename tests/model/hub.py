"""A Hugging Face hub of our own on loopback, as much of it as huggingface_hub asks for.

Repositories are directories; what is asked is kept, so that tests see which files were never touched.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secret"  # noqa: S105 - opens nothing but this hub
# resolves names in a process that has read its environment afresh, as every process of ours does
ASK = """
import json, sys
from pathlib import Path
from llmlora.failure import LlmloraError
from llmlora.model.describe import describe
from llmlora.model.source import list_names, resolve
from llmlora.paths import Home
for name in sys.argv[2:]:
    try:
        base = resolve(name, Home(Path("home")), (), fetch=sys.argv[1] == "fetch")
        told = {"name": base.name, "path": str(base.path), "digest": base.digest, "license": base.license}
        told["reason"] = describe(base).reason
    except LlmloraError as error:
        told = {"code": error.code, "message": error.message(), "hint": error.hint()}
    print(json.dumps(told))
print(json.dumps([name for name in list_names(Home(Path("home")), ()) if name.startswith("hf:")]))
"""


@dataclass
class Hub:
    """The repositories by name; those in `gated` want the token."""

    repositories: dict[str, Path]
    gated: frozenset[str] = frozenset()
    address: str = ""
    asked: list[str] = field(default_factory=list)  # "GET org/name file"

    def files(self, repo: str) -> dict[str, Path]:
        root = self.repositories[repo]
        return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}


@contextmanager
def serving(**settings: Any) -> Iterator[Hub]:
    """A running hub."""
    hub = Hub(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            status, headers, content = _answer(hub, self.command, self.path, self.headers.get("authorization", ""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(directory: Path, *names: str, fetch: bool = True, **environment: str) -> list[Any]:
    """What each name resolves to; last, the names in the cache."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**own, "HF_HOME": str(directory / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
    command = [sys.executable, "-c", ASK, "fetch" if fetch else "stay", *names]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=directory, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _answer(hub: Hub, method: str, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
    parts = path.partition("?")[0].strip("/").split("/")
    info = parts[:2] == ["api", "models"]
    repo, rest = "/".join(parts[2:4] if info else parts[:2]), parts[4:] if info else parts[2:]
    if repo not in hub.repositories:
        return _refusal(401, "RepoNotFound")
    if rest and rest[1] not in ("main", COMMIT):
        return _refusal(404, "RevisionNotFound")
    if info:
        return _json(_tree(hub, repo) if rest[:1] == ["tree"] else _info(hub, repo))
    hub.asked.append(f"{method} {repo} {'/'.join(rest[2:])}")
    if repo in hub.gated and authorization != f"Bearer {TOKEN}":
        return _refusal(401 if not authorization else 403, "GatedRepo")
    content = hub.files(repo)["/".join(rest[2:])].read_bytes()
    headers = {"ETag": f'"{_etag(content, rest[-1])}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
    return 200, headers, content


def _info(hub: Hub, repo: str) -> dict[str, Any]:
    siblings = [{"rfilename": name} for name in hub.files(repo)]
    return {"_id": "1", "id": repo, "modelId": repo, "sha": COMMIT, "private": False, "siblings": siblings}


def _tree(hub: Hub, repo: str) -> list[dict[str, Any]]:
    return [
        {"type": "file", "path": name, "size": path.stat().st_size, "oid": _etag(path.read_bytes(), name)}
        for name, path in hub.files(repo).items()
    ]


def _etag(content: bytes, name: str) -> str:
    """Large files are known by their SHA-256, small ones by git's SHA-1, as on the real hub."""
    kind = hashlib.sha256 if name.endswith(".safetensors") else hashlib.sha1
    return kind(content).hexdigest()


def _refusal(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    return status, {"X-Error-Code": code, "X-Error-Message": "no"}, b""


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
