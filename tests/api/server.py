"""A real `llmlora serve` on a free port, for tests that need processes and sockets."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

PATIENCE = 30.0


class Told(NamedTuple):
    """A server-sent event."""

    id: int
    kind: str
    data: dict


@dataclass
class Serving:
    process: subprocess.Popen[str]
    name: str
    port: int
    token: str

    @contextmanager
    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        """One request with the token; its answer while the block lasts."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, body, {"authorization": f"Bearer {self.token}", **headers})
            with connection.getresponse() as answer:
                yield answer

    def status(self, path: str) -> int:
        with self.ask(path) as answer:
            return answer.status

    def child(self, module: str) -> psutil.Process | None:
        """The process of ours that runs `module`."""
        for child in psutil.Process(self.process.pid).children():
            try:
                if module in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    return child
            except psutil.NoSuchProcess:
                continue
        return None


@contextmanager
def serving(home: Path, *options: str) -> Iterator[Serving]:
    """The server in a data directory of its own. What it complained of is shown when the block fails."""
    complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed below
    process = subprocess.Popen(
        [sys.executable, "-m", "llmlora", "serve", "--port", "0", *options],
        env={**os.environ, "LLMLORA_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
    )
    try:
        address, _, token = process.stdout.readline().strip().partition("/#token=")
        name, _, port = address.rpartition("/")[2].rpartition(":")
        yield Serving(process, name, int(port), token)
    except BaseException:
        complaints.seek(0)
        print(complaints.read()[-4000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        process.stdout.close()
        complaints.close()


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> object:
    """What `condition` says as soon as it is true."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if found := condition():
            return found
        time.sleep(0.01)
    raise TimeoutError


def told(answer: http.client.HTTPResponse) -> Iterator[Told]:
    """The events of a stream as they come, until it ends or breaks."""
    fields: dict[str, str] = {}
    while True:
        try:
            line = answer.readline().decode().rstrip("\n")
        except (ConnectionError, http.client.IncompleteRead):
            return
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}
        elif not fields:
            return
        else:
            fields = {}
