"""llama.cpp on the stored blobs: one process a model, at most two at a time."""

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx

from llmlora.gguf.reader import GgufFile
from tests.ollama.standin.generations import Generation
from tests.ollama.standin.model import Model
from tests.ollama.standin.refusal import Refused

SCRIPT = Path(__file__).with_name("llama_server.py")
CONTEXT, MOST = 4096, 2
SECONDS = 300.0
COMPLAINT = re.compile(r"^[\d.]+ E (?:\w+ +)?\w+: +(.+)$", re.MULTILINE)


class Engine:
    """A running llama.cpp server."""

    def __init__(self, model: Path, adapters: list[Path], context: int) -> None:
        """Raises Refused, in llama.cpp's words."""
        setup = {"model": str(model), "adapters": [str(path) for path in adapters], "context": context}
        self.context = context
        with tempfile.TemporaryFile() as log:
            self._process = subprocess.Popen(
                [sys.executable, SCRIPT, json.dumps(setup)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
            assert self._process.stdout
            self.address = self._process.stdout.readline().decode().strip()
            if not self.address:
                self.close()
                log.seek(0)
                words = "; ".join(COMPLAINT.findall(log.read().decode("utf-8", "replace"))[:2])
                raise Refused(500, f"llama-server process has terminated: {words or 'exit status 1'}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A whole answer."""
        answer = httpx.post(self.address + path, json=body, timeout=SECONDS, trust_env=False)
        return _checked(answer.status_code, answer.json())

    def completion(self, body: dict[str, Any]) -> Generator[dict[str, Any]]:
        """The pieces of a completion; closing the iterator ends it."""
        asked = httpx.stream("POST", f"{self.address}/completion", json=body, timeout=SECONDS, trust_env=False)
        with asked as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                _checked(response.status_code, response.json())
            yield from (json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line)


class Engines:
    """Those that are loaded, the latest used last."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._loaded: dict[str, tuple[Any, dict[str, Any], Engine]] = {}  # by name of the model
        self._lock = threading.Lock()

    def get(self, model: Model, options: dict[str, Any]) -> Engine:
        """That of a model, loaded if need be.

        Raises:
            Refused: the engine cannot load it.
        """
        (path,), adapters = model.paths("model"), model.paths("adapter")
        with GgufFile(path) as file:
            family = str(file.metadata["general.architecture"])
            most = int(file.metadata.get(f"{family}.context_length", CONTEXT))
        if adapters and family in self._generation.no_adapters_for:
            raise Refused(500, "failed to initialize model: loras are not yet implemented")
        context = min(int(options.get("num_ctx", CONTEXT)), most)
        key, name = (path, adapters, context), str(model.name)
        with self._lock:
            found = self._loaded.pop(name, None)
            if found and found[0] != key:  # made anew, or another context
                found[2].close()
                found = None
            if not found and len(self._loaded) == MOST:
                self._loaded.pop(next(iter(self._loaded)))[2].close()
            self._loaded[name] = found or (key, model.listed(), Engine(path, adapters, context))
            return self._loaded[name][2]

    def models(self) -> Iterator[tuple[dict[str, Any], Engine]]:
        """What is in memory, as it was listed when it was loaded: it may be deleted by now."""
        yield from ((listed, engine) for _, listed, engine in list(self._loaded.values()))

    def unload(self, model: Model) -> None:
        """Take one out of memory."""
        with self._lock:
            if found := self._loaded.pop(str(model.name), None):
                found[2].close()

    def close(self) -> None:
        """End all."""
        with self._lock:
            while self._loaded:
                self._loaded.popitem()[1][2].close()


def _checked(status: int, body: dict[str, Any]) -> dict[str, Any]:
    if "error" in body:
        raise Refused(status, str(body["error"]["message"]))
    return body
