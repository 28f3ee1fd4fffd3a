"""REL-23: whatever people, owners, crashes and clocks do in whatever order, the queue keeps its promises."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import update

from llmlora.errors import JobConflict, WorkerDied
from llmlora.store import events, jobs
from llmlora.store.database import Database
from llmlora.store.jobs import ACTIVE, FINAL, MAX_ATTEMPTS, Job, Request
from llmlora.store.tables import job as job_table

ERROR = WorkerDied("SIGKILL").to_json()


class Queue(RuleBasedStateMachine):
    """Owners keep every claim they ever got, as a process that slept does."""

    claims = Bundle("claims")
    submitted = Bundle("submitted")

    @initialize()
    def open(self):
        self.directory = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.directory.name)}/llmlora.db")
        self.epochs: dict[str, int] = {}
        self.over: dict[str, str] = {}

    def teardown(self):
        self.database.close()
        self.directory.cleanup()

    def current(self, job_id: str) -> Job:
        with self.database.reading() as connection:
            return jobs.fetch(connection, job_id)

    @rule(target=submitted)
    def submit(self):
        return jobs.submit(self.database, Request("train", "job", {})).id

    @rule(target=claims, owner=st.sampled_from(["a", "b"]))
    def claim(self, owner: str):
        with self.database.writing() as connection:
            one = jobs.claim(connection, owner, ("train",))
        if one is None:
            return None
        assert one.epoch == self.epochs.get(one.id, 0) + 1, "the epoch grows with every owner"
        assert one.id not in self.over, "what is over is not taken again"
        self.epochs[one.id] = one.epoch
        return one

    @rule(claim=claims, state=st.sampled_from(["running", "succeeded", "failed", "cancelled", "paused", "queued"]))
    def write(self, claim: Job | None, state: jobs.State):
        if claim is None:
            return
        before = self.current(claim.id)
        may = before is not None and before.epoch == claim.epoch and before.state in ACTIVE
        with self.database.writing() as connection:
            written = jobs.write(connection, claim.id, claim.epoch, state=state)
        assert (written is not None) == may, "only the owner of the newest epoch writes"
        if written and state in FINAL:
            self.over[claim.id] = state

    @rule(claim=claims, checkpoint=st.booleans())
    def crash(self, claim: Job | None, checkpoint: bool):
        if claim is None:
            return
        with self.database.writing() as connection:
            if checkpoint:
                jobs.write(connection, claim.id, claim.epoch, attempt=0)
            one = jobs.fetch(connection, claim.id)
            given = jobs.give_up(connection, one or claim, ERROR, 0.0) if one and one.epoch == claim.epoch else None
        if given and given.state == "failed":
            assert one.attempt >= MAX_ATTEMPTS
            self.over[claim.id] = "failed"

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def the_clock_jumps(self, seconds: float):
        with self.database.writing() as connection:
            connection.execute(update(job_table).values(lease_until=job_table.c.lease_until - seconds))

    @rule(gone=st.sampled_from([True, False, None]))
    def reap(self, gone: bool | None):
        with self.database.writing() as connection:
            for one in jobs.reap(connection, lambda _: gone, ERROR):
                assert gone is not False, "a living owner keeps its job"
                now = jobs.fetch(connection, one.id)
                if now.state in FINAL:
                    self.over[one.id] = now.state

    @rule(job_id=submitted, desired=st.sampled_from(["run", "pause", "cancel"]))
    def want(self, job_id: str, desired: jobs.Desired):
        try:
            with self.database.writing() as connection:
                one = jobs.want(connection, job_id, desired)
        except JobConflict:
            return
        if one is None:
            return
        if one.state in FINAL:
            self.over[job_id] = one.state
        elif desired == "run":  # the one way back: a person asks for it
            self.over.pop(job_id, None)

    @rule(job_id=submitted)
    def remove(self, job_id: str):
        try:
            with self.database.writing() as connection:
                jobs.remove(connection, job_id)
        except JobConflict:
            assert self.current(job_id).state in ACTIVE
        else:
            self.over.pop(job_id, None)

    @invariant()
    def what_is_over_stays_so(self):
        if not hasattr(self, "database"):
            return
        for job_id, state in self.over.items():
            assert self.current(job_id).state == state

    @invariant()
    def the_last_event_tells_the_state(self):
        if not hasattr(self, "database"):
            return
        with self.database.reading() as connection:
            for one in jobs.listed(connection, "train"):
                told = events.last_of_job(connection, one.id, "state")
                assert (told["state"], told["desired"]) == (one.state, one.desired)


Queue.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestQueue = Queue.TestCase
