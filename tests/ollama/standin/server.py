"""The stand-in as a running server."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from tests.ollama.standin.answers import Answers
from tests.ollama.standin.app import Api
from tests.ollama.standin.engines import Engines
from tests.ollama.standin.faults import Fault, Faulty, Seen
from tests.ollama.standin.generations import GENERATIONS, NEWEST, Generation
from tests.ollama.standin.pull import Catalogue
from tests.ollama.standin.store import Store

Renderers = Mapping[str, Callable[[list[dict[str, Any]]], str]]


class StandIn:
    """A server: its address, its store, what it was asked, what shall go wrong."""

    def __init__(
        self, directory: Path, generation: Generation, catalogue: Catalogue, renderers: Renderers, port: int
    ) -> None:
        self.store, self.generation = Store(directory), generation
        self.engines = Engines(generation)
        answers = Answers(self.store, generation, self.engines, dict(renderers))
        self._faulty = Faulty(Api(self.store, generation, answers, catalogue).application(), self._leave)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        # "critical": a broken connection is meant, and no reason for a report
        config = uvicorn.Config(self._faulty, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    @property
    def seen(self) -> list[Seen]:
        """Every request so far."""
        return self._faulty.seen

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong next; see `faults`."""
        return self._faulty.faults

    def start(self) -> None:
        """Begin to answer; connections wait until it does."""
        self._thread.start()

    def close(self) -> None:
        """End the server and its engines."""
        for hang in self._faulty.pending:
            hang.released.set()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.engines.close()

    def _leave(self) -> None:
        for listening in self._server.servers:
            listening.close()
        self._socket.close()


@contextmanager
def ollama_standin(
    directory: Path,
    generation: str | Generation = NEWEST,
    catalogue: Catalogue | None = None,
    renderers: Renderers | None = None,
    port: int = 0,
) -> Iterator[StandIn]:
    """A server on a port of its own, with `directory` as its store."""
    chosen = GENERATIONS[generation] if isinstance(generation, str) else generation
    running = StandIn(directory, chosen, catalogue or {}, renderers or {}, port)
    running.start()
    try:
        yield running
    finally:
        running.close()
