"""A child process of ours that answers JSON lines: what the template renderer and the chat engine have in common."""

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from llmlora.openmp import BRIEF

STDERR_TAIL = 4096


class ChildDiedError(Exception):
    """The child ended; the message is the end of what it wrote to standard error."""


class JsonChild:
    """`python -I -m MODULE`, spoken to in lines of JSON. It sees nothing of our environment but what it is given."""

    def __init__(self, module: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._lines: queue.Queue[bytes] = queue.Queue()
        begun: Future[subprocess.Popen[bytes]] = Future()
        given = (module, {**BRIEF, **environment}, begun)
        self._listener = threading.Thread(target=self._live, args=given, daemon=True)
        self._listener.start()
        self._process = begun.result()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: dict[str, Any]) -> None:
        """Raises ChildDiedError when nobody is there to read it."""
        if self._process.stdin is None:
            raise ChildDiedError("closed")
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, OSError):
            raise ChildDiedError(self._last_words()) from None

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next line.

        Raises:
            TimeoutError: none came in time.
            ChildDiedError: none will come.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if not line:
            self._lines.put(line)  # whoever asks again is told again
            raise ChildDiedError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def exit_code(self) -> int | None:
        """How it ended: its exit code, or minus the signal; None where it still runs."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=1)
        return None

    def close(self) -> None:
        """End the child, whatever it is doing, and wait for it."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            if pipe:
                with suppress(BrokenPipeError):  # what was still to be sent has no reader any more
                    pipe.close()

    def _live(self, module: str, environment: dict[str, str], begun: Future[subprocess.Popen[bytes]]) -> None:
        """Start the child and hear it out, in one thread: Linux takes a thread that forks, not its process, for the
        parent that a child dies with (`die_with_parent`), and whoever wants the child may be a thread of a pool.
        """
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                start_new_session=True,  # Ctrl-C on the terminal is for us alone; we end the child
            )
        except OSError as error:
            begun.set_exception(error)
            return
        begun.set_result(process)
        for line in process.stdout or ():
            self._lines.put(line)
        self._lines.put(b"")

    def _last_words(self) -> str:
        if self._stderr.closed:
            return "closed"
        self._stderr.seek(0, 2)
        self._stderr.seek(max(0, self._stderr.tell() - STDERR_TAIL))
        lines = [line.strip() for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "assert" in line.lower()]
        return (telling or lines or ["its process ended"])[-1]


def die_with_parent() -> None:
    """Called by a child first, or between fork and exec: on Linux it is killed when its parent ends.

    Elsewhere a child must notice that its input has ended.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only here

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
