"""What the two processes that chat have in common: how they are spoken to.

They read JSON lines: first the setup {"model", "adapter", "context", "threads", "exact", "private"}, then requests,
numbered upwards; every answer carries the number of its request, and the last one "done":

    {"id", "complete": {…}, "adapted"}               → {"id", "text"} …, {"id", "done": finish reason}
    {"id", "probabilities": [ids], "top", "adapted"} → {"id", "done", "rows": [[[id, log probability], …], …]}
    {"cancel": id}                                   ends that request and those before it

What cannot be done is answered {"id", "done", "error": text}.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from llmlora.child import die_with_parent

Params = dict[str, Any]
Reply = Callable[[Params], None]


class Refused(Exception):
    """The model cannot be loaded; the message says why."""


class Cancelled:
    """Up to which request nobody wants answers any more."""

    up_to: float = 0

    def __contains__(self, request: Params) -> bool:
        return bool(request["id"] <= self.up_to)


class Loaded(Protocol):
    """A model that answers."""

    def answer(self, request: Params, reply: Reply) -> None:
        """Answer a request, in pieces; the last has "done"."""


def serve(load: Callable[[Params, Cancelled], Loaded]) -> None:
    """Load what the first line says, then answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; what it means, the parent says
    die_with_parent()
    # libraries print where they like: standard output becomes standard error, the protocol keeps the real one
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.Queue[Params] = queue.Queue()
    cancelled = Cancelled()
    threading.Thread(target=_listen, args=(requests, cancelled), daemon=True).start()

    def say(message: Params) -> None:
        protocol.write(json.dumps(message) + "\n")
        protocol.flush()

    if (setup := requests.get()) == {}:
        return
    try:
        loaded = load(setup, cancelled)
    except Refused as error:
        say({"id": 0, "done": "failed", "error": str(error)})
        return
    say({"id": 0, "done": "loaded"})
    while (request := requests.get()) != {}:

        def reply(message: Params, number: int = request["id"]) -> None:
            say({"id": number, **message})

        loaded.answer(request, reply)


def _listen(requests: "queue.Queue[Params]", cancelled: Cancelled) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "cancel" in request:
            cancelled.up_to = request["cancel"]
        else:
            requests.put(request)
    cancelled.up_to = float("inf")
    requests.put({})
