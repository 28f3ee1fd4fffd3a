"""A server that says what a test tells it to, byte for byte, and knows nothing of models: what an Ollama would not say.

The one that behaves as Ollama does is in `standin`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STEPS = [
    {"status": "pulling manifest"},
    {"status": "pulling 0123456789ab", "digest": "sha256:01", "total": 100, "completed": 40},
    {"status": "pulling 0123456789ab", "digest": "sha256:01", "total": 100, "completed": 100},
    {"status": "verifying sha256 digest"},
    {"status": "writing manifest"},
    {"status": "success"},
]


class Scripted:
    """What it answers, by path, and what it was asked."""

    def __init__(self) -> None:
        self.status, self.headers = 200, {"content-type": "application/json"}
        self.version: bytes = b'{"version": "0.36.1"}'
        self.tags: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = STEPS
        self.error: bytes = b'{"error": "no"}'
        self.gate = threading.Event()  # a download waits here before its last step
        self.gate.set()
        self.asked: list[tuple[str, Any]] = []
        self.hosts: list[str] = []
        self.address = ""

    def answer(self, path: str) -> Iterator[bytes]:
        """The body, piece by piece."""
        if self.status != 200:
            yield self.error
        elif path == "/api/version":
            yield self.version
        elif path == "/api/tags":
            yield json.dumps({"models": self.tags}).encode()
        else:
            for step in self.steps:
                if step is self.steps[-1]:
                    self.gate.wait(20)
                yield json.dumps(step).encode() + b"\n"


@contextmanager
def ollama_server() -> Iterator[Scripted]:
    """Such a server, running."""
    scripted = Scripted()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            scripted.hosts.append(self.headers["host"])
            scripted.asked.append((self.path, json.loads(self.rfile.read(length) or b"null")))
            self.send_response(scripted.status)
            for name, value in scripted.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in scripted.answer(self.path):
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:  # the client has heard enough
                pass

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield scripted
    finally:
        scripted.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
