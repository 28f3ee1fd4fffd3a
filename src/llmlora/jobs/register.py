"""The body of a register job: the adapter becomes a model in Ollama, and it is proved to answer as it was trained."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmlora.adapter import base_name_of
from llmlora.certify.certificate import need_passed
from llmlora.certify.page import keep
from llmlora.certify.proof import certify
from llmlora.export import ollama
from llmlora.export.ollama import Wish
from llmlora.model.source import resolve
from llmlora.paths import Home

SECONDS_BETWEEN = 0.25
Tell = Callable[[dict[str, Any]], None]


def register(task: dict[str, Any], tell: Tell, stop: Callable[[], bool]) -> dict[str, Any] | None:
    """Register the adapter in `task["adapter"]` as `task["name"]` and, with `task["certify"]`, certify it; None when it
    was interrupted. GGUF files are made in `task["workshop"]`.

    Raises:
        CertificateFailed: it is registered, and does not answer as it was trained.
        LlmloraError: see `export.ollama.register` and `certify`.
    """
    adapter, workshop = Path(task["adapter"]), Path(task["workshop"])
    workshop.mkdir(parents=True, exist_ok=True)
    base = resolve(
        base_name_of(adapter), Home(Path(task["home"])), [Path(store) for store in task["stores"]], fetch=False
    )
    wish = Wish(task["name"], task["force"], task["label"])
    try:
        with _interruptible(stop):
            told = _phases("register", tell, stop)
            done = ollama.register(adapter, base, wish, task["ollama_address"], workshop, told)
            tell({"event": "registered", "step": 0, **done.model_dump(mode="json")})
            if task["certify"]:
                told = _phases("certificate", tell, stop)
                certificate = certify(adapter, base, workshop, task["ollama_address"], told)
                path = keep(certificate, adapter, task["language"])
                tell({"event": "certified", "step": 0, "passed": certificate.passed})
                need_passed(certificate, path)
    except _Interrupted:
        return None
    return {"model": done.name}


def _phases(what: str, tell: Tell, stop: Callable[[], bool]) -> Callable[[str, int, int], None]:
    """Tells each phase, and how far it is now and then: under `<what>.phases` in the catalogues."""
    last, told_at = "", 0.0

    def on_progress(phase: str, done: int, total: int) -> None:
        nonlocal last, told_at
        if stop():
            raise _Interrupted
        if phase != last or time.monotonic() - told_at > SECONDS_BETWEEN:
            last, told_at = phase, time.monotonic()
            tell({"event": "progress", "step": 0, "text": f"{what}.phases.{phase}", "done": done, "total": total})

    return on_progress


@contextmanager
def _interruptible(stop: Callable[[], bool]) -> Iterator[None]:
    """A termination ends whatever is waited for, also a model that takes minutes to load; then what is half made is
    taken back undisturbed.
    """

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Interrupted

    before = signal.signal(signal.SIGTERM, end)
    try:
        if stop():
            raise _Interrupted
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Interrupted(BaseException):
    """As KeyboardInterrupt: nobody on the way may take it for an error."""
