"""The runner: takes jobs from the queue and sees each through, whatever happens to it.

    python -I -m llmlora.jobs.runner       one for each data directory; a second one waits for the first to go

It holds no state that counts: what a job is lies in the store, what has happened lies in its directory.
"""

import fcntl
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmlora.child import die_with_parent
from llmlora.errors import OwnerGone, WorkerDied
from llmlora.failure import LlmloraError
from llmlora.jobs.owner import is_gone, me
from llmlora.jobs.supervised import Supervised, Terms
from llmlora.paths import Home
from llmlora.settings import Settings, read_settings
from llmlora.store import jobs
from llmlora.store.database import Database, Unreachable
from llmlora.store.jobs import LEASE_SECONDS, Job, Kind

TICK_SECONDS = 0.2
REAP_SECONDS = 1.0
# What may run at the same time: one job that computes, and downloads beside it.
LANES: tuple[tuple[Kind, ...], ...] = (("train", "export", "register"), ("pull",))

log = logging.getLogger("llmlora.runner")


class Runner:
    """Runs one job in each lane."""

    def __init__(self, database: Database, settings: Settings, terms: Terms | None = None, owner: str = "") -> None:
        self.database, self.settings, self.terms = database, settings, terms or Terms()
        self.owner = owner or me()
        self.running: dict[tuple[Kind, ...], Supervised] = {}
        self._began = self._reaped = 0.0
        self._away = ""  # what the database said when it did not answer

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`; what runs then is saved and goes back to the queue."""
        try:
            while not stop.wait(TICK_SECONDS):
                self.tick()
        finally:
            self.close()

    def tick(self) -> None:
        """Look at everything once. A database that is away is waited for; what runs goes on meanwhile."""
        try:
            for lane, supervised in list(self.running.items()):
                if supervised.tick():
                    del self.running[lane]
            self._reap()
            for lane in LANES:
                if lane not in self.running and (job := self._claim(lane)):
                    self._start(lane, job)
            self._away = ""
        except Unreachable as error:
            self._tell_away(error)

    def _tell_away(self, error: Exception) -> None:
        """Once, however often it is asked meanwhile."""
        said = str(error.__cause__ or error).strip().splitlines()[0]
        if said != self._away:
            log.warning("the database does not answer: %s", said)
        self._away = said

    def close(self) -> None:
        """Save what runs, give it back to the queue, and end it."""
        for supervised in self.running.values():
            try:
                supervised.shut_down()
            except Unreachable as error:  # whoever starts next takes it over: its owner is gone
                self._tell_away(error)
        self.running.clear()

    def _claim(self, lane: tuple[Kind, ...]) -> Job | None:
        with self.database.reading() as connection:  # writing waits for other writers: look first
            if not jobs.any_waiting(connection, lane):
                return None
        with self.database.writing() as connection:
            return jobs.claim(connection, self.owner, lane)

    def _start(self, lane: tuple[Kind, ...], job: Job) -> None:
        log.info("job %s, attempt %s of epoch %s", job.id, job.attempt, job.epoch)
        try:
            self.running[lane] = Supervised(self.database, job, task_of(job, self.settings), self.terms)
        except OSError as error:  # the data directory cannot be written, or the machine has no process left
            log.warning("job %s cannot be started: %s", job.id, error)
            with self.database.writing() as connection:
                jobs.give_up(connection, job, WorkerDied(str(error)).to_json(), self.terms.retry)

    def _reap(self) -> None:
        """Take over from owners that are gone: at once on this machine, after their lease elsewhere."""
        now = self.terms.clock()
        self._began = self._began or now
        if now - self._reaped < REAP_SECONDS:
            return
        self._reaped = now
        settled = now - self._began > LEASE_SECONDS  # others may have had no chance to renew while the store was away

        def gone(owner: str) -> bool | None:
            if owner == self.owner:
                return False
            answer = is_gone(owner)
            return False if answer is None and not settled else answer

        with self.database.reading() as connection:
            if not jobs.any_active(connection, besides=self.owner):
                return
        with self.database.writing() as connection:
            for job in jobs.reap(connection, gone, OwnerGone().to_json()):
                log.warning("job %s: its runner is gone", job.id)


def task_of(job: Job, settings: Settings) -> dict[str, Any]:
    """What the worker is told. Its directory is added when there is one."""
    home = settings.home
    return {
        **job.spec,
        "kind": job.kind,
        "home": str(home.root),
        "out": str(home.attempt(job.id, job.epoch)),
        "stores": [str(store) for store in settings.ollama_stores],
        "ollama_address": settings.ollama_address,
        "language": settings.language,
        "memory_limit_mb": settings.memory_limit_mb,
    }


@contextmanager
def only_one(home: Home, stop: threading.Event) -> Iterator[None]:
    """Wait until no other runner works in this data directory."""
    home.root.mkdir(parents=True, exist_ok=True)
    with Path(home.runner_lock).open("w", encoding="ascii") as file:
        while not stop.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                stop.wait(TICK_SECONDS)
        yield


def main() -> None:
    """Run until SIGTERM."""
    die_with_parent()
    logging.basicConfig(format="%(asctime)s runner %(message)s")
    log.setLevel(logging.INFO)
    settings, stop = read_settings(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with only_one(settings.home, stop):
            if stop.is_set():
                return
            database = Database(settings.database_url)
            Runner(database, settings).run(stop)
            database.close()
    except LlmloraError as error:
        log.error("%s %s", error.message(settings.language), error.hint(settings.language))
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
