"""A job that is being done here: its process watched, its events copied, people's wishes passed on."""

import json
import logging
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from llmlora.errors import DiskFull, OutOfMemory, Stalled, WorkerDied
from llmlora.jobs import mirror
from llmlora.jobs.attempt import Process, keep_only, make_directory
from llmlora.paths import Home, Run
from llmlora.recipe import Recipe
from llmlora.store import events, jobs
from llmlora.store.database import Database, Now
from llmlora.store.events import Line
from llmlora.store.jobs import Desired, Job

CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")
# of Python, of torch on a CPU and on a GPU, and of C++
NO_MEMORY = re.compile(r"^MemoryError|can't allocate memory|out of memory|std::bad_alloc", re.MULTILINE)
log = logging.getLogger("llmlora.runner")


@dataclass(frozen=True)
class Terms:
    """How long things may take, in seconds."""

    heartbeat: float = 5.0
    cancel: float = 5.0  # from SIGTERM to SIGKILL: a cancelled job owes us nothing
    pause: float = 600.0  # a step may be long, and its work shall not be lost
    stall: float = 600.0  # at least; 20 median steps when those are longer
    stack_dump: float = 5.0
    retry: float = 1.0  # doubled for each attempt
    clock: Callable[[], float] = time.monotonic


class Supervised:
    """One attempt at one job."""

    def __init__(self, database: Database, job: Job, task: dict[str, Any], terms: Terms) -> None:
        self.database, self.job, self.terms = database, job, terms
        self.home = Home(Path(task["home"]))
        make_directory(self.home, job.id, job.epoch)
        self.task, self.out = task, Path(task["out"])
        self.kills_before = _kernel_kills()
        self.process = Process(task)
        self.position = mirror.Position()
        now = terms.clock()
        self.beat_at = self.moved_at = now
        self.asked_at: float | None = None  # when the process was asked to end
        self.desired: Desired = job.desired
        self.paces: list[float] = []
        self.stalled: Stalled | None = None

    def tick(self) -> bool:
        """Look once; True when the attempt is over.

        Raises:
            DBAPIError: the database is away. Nothing is lost: the next tick goes on from here.
        """
        code = self.process.code()  # before the events are read: an ended process writes no more
        if not self._copy_events() or not self._hear():
            log.warning("job %s has another owner by now", self.job.id)
            self.process.close()
            return True
        if code is None:
            self._press()
            return False
        self._conclude(code)
        self.process.close()
        return True

    def shut_down(self) -> None:
        """Let it finish its step and save, then give it back to the queue."""
        self.process.signal(signal.SIGTERM)
        limit = time.monotonic() + self.terms.cancel * 4
        while self.process.code() is None and time.monotonic() < limit:
            time.sleep(0.05)
        self.process.signal(signal.SIGKILL)
        try:
            if self._copy_events():
                self._conclude(self.process.code() or 0, shutting_down=True)
        finally:
            self.process.close()

    def _copy_events(self) -> bool:
        lines, position = mirror.read_new(Run(self.out).events, self.position)
        if not lines and position == self.position:
            return True
        with self.database.writing() as connection:
            held = jobs.write(connection, self.job.id, self.job.epoch, **self._progress(lines))
            if held is None:
                return False
            fresh = lines
            if position.inode != self.position.inode:
                fresh = mirror.reconcile(connection, self.job.id, lines)
            if fresh:
                events.append(connection, self.job.id, fresh)
        self.job, self.position = held, position
        return True

    def _progress(self, lines: Sequence[Line]) -> dict[str, Any]:
        """What the new lines say about the job itself."""
        values: dict[str, Any] = {}
        if self.job.state == "starting":
            values["state"] = "running"
        for line in lines:
            if line.kind == "started":
                values["total_steps"] = mirror.value_of(line, "total_steps")
            if line.kind == "step":
                values["step"] = line.step
            if line.kind in ("step", "progress"):
                self._moved()
            if line.kind == "saved" and line.step > self.job.checkpoint_step:
                values |= {"checkpoint_step": line.step, "attempt": 0}  # it got further: count anew
        return values or {"step": self.job.step}

    def _moved(self) -> None:
        """It is alive; several lines at once were one move."""
        now = self.terms.clock()
        self.paces = [*self.paces[-50:], now - self.moved_at]
        self.moved_at = now

    def _hear(self) -> bool:
        """Renew the lease now and then, and learn what people want; False when the job is not ours any more."""
        if self.terms.clock() - self.beat_at >= self.terms.heartbeat:
            with self.database.writing() as connection:
                desired = jobs.renew(connection, self.job.id, self.job.epoch)
            self.beat_at = self.terms.clock()
        else:
            with self.database.reading() as connection:
                desired = jobs.desired_of(connection, self.job.id, self.job.epoch)
        if desired is None:
            return False
        self.desired = desired
        return True

    def _press(self) -> None:
        """Ask the process to end when people want that, and insist; end one that makes no steps."""
        now = self.terms.clock()
        if self.asked_at is None:
            if self.desired != "run":
                self.asked_at = now
                self.process.signal(signal.SIGTERM)
            elif now - self.moved_at > self._patience():
                self.stalled = Stalled(self.job.step, round(now - self.moved_at))
                self.asked_at = now
                self.process.signal(signal.SIGABRT)  # the stacks of its threads go to the log
            return
        patience = {"cancel": self.terms.cancel, "pause": self.terms.pause, "run": self.terms.stack_dump}[self.desired]
        if now - self.asked_at > patience:
            self.process.signal(signal.SIGKILL)

    def _patience(self) -> float:
        return max(self.terms.stall, 20 * median(self.paces)) if self.paces else self.terms.stall

    def _conclude(self, code: int, shutting_down: bool = False) -> None:
        """Write what has become of the attempt."""
        outcome = self.process.outcome()
        with self.database.writing() as connection:
            if "result" in outcome:
                result = {**outcome["result"], "epoch": self.job.epoch}
                self._end(connection, "succeeded", result=result)
            elif "error" in outcome:
                self._fail(connection, outcome["error"])
            elif self.desired != "run":
                self._end(connection, "cancelled" if self.desired == "cancel" else "paused")
            elif shutting_down or "interrupted" in outcome:
                again = {"state": "queued", "owner": None, "attempt": max(0, self.job.attempt - 1)}
                jobs.write(connection, self.job.id, self.job.epoch, **again)
            elif self._wanted_memory(code):
                self._fail(connection, out_of_memory(self.out, self.task.get("recipe", {})).to_json())
            else:
                error = (self.stalled or WorkerDied(_how(code))).to_json()
                wait = self.terms.retry * 2 ** (self.job.attempt - 1)
                jobs.give_up(connection, self.job, error, wait)
        if "result" in outcome:
            keep_only(self.home, self.job.id, self.job.epoch)

    def _wanted_memory(self, code: int) -> bool:
        """Whether it died for want of memory: the kernel killed it, or it said so in one of the usual ways."""
        if code == -signal.SIGKILL:
            return _kernel_kills() > self.kills_before
        return NO_MEMORY.search(self.process.log()) is not None

    def _fail(self, connection: Any, error: dict[str, Any]) -> None:
        """A full disk is waited for by pausing, everything else is a failure: the same again would fail again."""
        if error["code"] == DiskFull.code_of():
            self._end(connection, "paused", error=error, desired="pause")
        else:
            self._end(connection, "failed", error=error)

    def _end(self, connection: Any, state: jobs.State, **values: Any) -> None:
        if state in jobs.FINAL:
            values["finished_at"] = Now()
        jobs.write(connection, self.job.id, self.job.epoch, state=state, owner=None, **values)


def out_of_memory(out: Path, recipe: dict[str, Any]) -> OutOfMemory:
    """The numbers of the plan, and the knobs to turn."""
    needed = 0
    with suppress(OSError, ValueError, KeyError, TypeError):  # it died before it had a plan
        needed = json.loads(Run(out).plan.read_text("utf-8"))["plan"]["memory"] // 2**20
    fields = Recipe.model_fields
    knobs = {name: recipe.get(name, fields[name].default) for name in ("batch_size", "max_length", "rank")}
    return OutOfMemory(needed_mb=needed, available_mb=psutil.virtual_memory().available // 2**20, **knobs)


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _kernel_kills() -> int:
    """How often the kernel has ended a process of this container for want of memory; 0 where it does not tell."""
    try:
        lines = CGROUP_EVENTS.read_text("ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
