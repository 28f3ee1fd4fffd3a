"""The runner sees a job through: wishes, deaths, hangs, takeovers. The worker is an actor that fails on cue."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from llmlora.errors import DiskFull, NothingToTrain, OwnerGone
from llmlora.jobs.runner import Runner, only_one
from llmlora.jobs.supervised import Terms
from llmlora.settings import Settings, read_settings
from llmlora.store import events, jobs
from llmlora.store.database import Database, Now
from llmlora.store.jobs import FINAL, Job, Request
from llmlora.store.tables import job as job_table

QUICK = Terms(heartbeat=0.1, cancel=0.3, stall=0.5, stack_dump=0.3, retry=0.01)
PATIENCE = 60.0


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return replace(read_settings(), database_url=database_url)


@pytest.fixture(autouse=True)
def _actor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmlora.jobs.attempt.WORKER", (sys.executable, str(Path(__file__).with_name("actor.py"))))


@pytest.fixture
def runner(database: Database, settings: Settings) -> Iterator[Runner]:
    one = Runner(database, settings, QUICK, "first")
    yield one
    for supervised in one.running.values():
        supervised.process.close()


def submit(database: Database, *acts: str, **spec) -> Job:
    return jobs.submit(database, Request("train", "a job", {"act": acts, "total": 6, **spec}))


def fetch(database: Database, one: Job) -> Job:
    with database.reading() as connection:
        return jobs.fetch(connection, one.id)


def want(database: Database, one: Job, desired: jobs.Desired) -> Job:
    with database.writing() as connection:
        return jobs.want(connection, one.id, desired)


def run_until(runner: Runner, condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        runner.tick()
        time.sleep(0.01)


def run_to_state(runner: Runner, one: Job, *states: str) -> Job:
    run_until(runner, lambda: fetch(runner.database, one).state in states)
    return fetch(runner.database, one)


def told(database: Database, one: Job, *kinds: str) -> list[int]:
    with database.reading() as connection:
        told = events.after(connection, 0, 10_000, one.id)
    return [event.step for event in told if event.kind in kinds]


def worker_of(runner: Runner) -> psutil.Process:
    (supervised,) = runner.running.values()
    return psutil.Process(supervised.process.pid)


def test_a_job_runs_and_its_events_are_those_of_its_file(runner: Runner, database: Database, settings: Settings):
    one = submit(database, "step", "step", "save", "step", "save")

    done = run_to_state(runner, one, *FINAL)

    assert done.state == "succeeded"
    assert (done.step, done.total_steps, done.checkpoint_step) == (3, 6, 3)
    assert done.result == {"step": 3, "loss": 1.0, "eval_loss": None, "epoch": 1}
    with database.reading() as connection:
        mirrored = [event.body for event in events.mirrored(connection, one.id)]
    assert mirrored == (settings.home.attempt(one.id, 1) / "events.jsonl").read_text().splitlines()


def test_jobs_run_one_after_the_other(runner: Runner, database: Database):
    first, second = submit(database, "hang"), submit(database)
    run_to_state(runner, first, "running")

    assert fetch(database, second).state == "queued"

    want(database, first, "cancel")
    assert run_to_state(runner, second, *FINAL).state == "succeeded"


def test_rel_01_a_killed_worker_is_started_again_and_goes_on_from_its_checkpoint(runner: Runner, database: Database):
    one = submit(database, "step", "save", "step", "die at first", "save")

    done = run_to_state(runner, one, *FINAL)

    assert (done.state, done.epoch, done.step) == ("succeeded", 2, 3)
    assert told(database, one, "step") == [1, 2, 3]
    assert told(database, one, "rewound") == [1]


def test_rel_17_a_poison_job_fails_after_three_attempts_and_the_queue_goes_on(runner: Runner, database: Database):
    poison, next_one = submit(database, "step", "die"), submit(database)

    assert run_to_state(runner, next_one, *FINAL).state == "succeeded"

    failed = run_to_state(runner, poison, *FINAL)
    assert (failed.state, failed.epoch, failed.error["code"]) == ("failed", 3, "worker_died")
    assert failed.error["facts"] == {"how": "SIGKILL"}


def test_a_refusal_fails_at_once_with_its_words(runner: Runner, database: Database):
    failed = run_to_state(runner, submit(database, "fail", error=NothingToTrain(Path("x"), 8).to_json()), *FINAL)

    assert (failed.state, failed.epoch, failed.error["code"]) == ("failed", 1, "nothing_to_train")


def test_rel_04_a_full_disk_pauses_the_job(runner: Runner, database: Database):
    paused = run_to_state(runner, submit(database, "fail", error=DiskFull(Path("x"), 9, 1).to_json()), "paused", *FINAL)

    assert (paused.state, paused.error["code"]) == ("paused", "disk_full")


def test_rel_12_a_running_job_is_cancelled_and_its_process_is_gone(runner: Runner, database: Database):
    one = submit(database, "step", "hang")
    run_until(runner, lambda: fetch(database, one).step == 1)
    worker = worker_of(runner)

    want(database, one, "cancel")

    assert run_to_state(runner, one, *FINAL).state == "cancelled"
    assert not worker.is_running()


def test_rel_12_a_worker_deaf_to_terms_is_killed(runner: Runner, database: Database):
    one = submit(database, "stubborn", "step", "hang")
    run_until(runner, lambda: fetch(database, one).step == 1)

    want(database, one, "cancel")

    assert run_to_state(runner, one, *FINAL).state == "cancelled"


def test_rel_12_a_job_that_ends_before_the_wish_is_heard_stays_succeeded(runner: Runner, database: Database):
    one = submit(database, "step")
    run_until(runner, lambda: bool(runner.running))
    worker_of(runner).wait(PATIENCE)

    want(database, one, "cancel")

    assert run_to_state(runner, one, *FINAL).state == "succeeded"


def test_a_paused_job_goes_on_where_it_was(runner: Runner, database: Database):
    one = submit(database, "step", "save", "hang")
    run_until(runner, lambda: fetch(database, one).checkpoint_step == 1)

    want(database, one, "pause")
    assert run_to_state(runner, one, "paused", *FINAL).state == "paused"

    want(database, one, "run")
    run_until(runner, lambda: fetch(database, one).checkpoint_step == 2)
    assert told(database, one, "step") == [1, 2]
    want(database, one, "cancel")
    run_to_state(runner, one, *FINAL)


def test_rel_11_a_job_that_makes_no_steps_is_ended_and_tried_again(runner: Runner, database: Database):
    stalled = run_to_state(runner, submit(database, "step", "hang"), *FINAL)

    assert (stalled.state, stalled.epoch, stalled.error["code"]) == ("failed", 3, "stalled")


def test_a_runner_that_shuts_down_gives_its_job_back_unspent(runner: Runner, database: Database):
    one = submit(database, "step", "save", "hang")
    run_until(runner, lambda: fetch(database, one).checkpoint_step == 1)

    runner.close()

    given = fetch(database, one)
    assert (given.state, given.attempt, given.owner) == ("queued", 0, None)


def test_rel_09_a_runner_that_slept_finds_its_job_taken_and_spoils_nothing(
    runner: Runner, database: Database, settings: Settings
):
    one = submit(database, "step", "save", "hang")
    run_until(runner, lambda: fetch(database, one).checkpoint_step == 1)
    zombie = worker_of(runner)
    with database.writing() as connection:  # the lease ran out while the runner was stopped
        connection.execute(update(job_table).values(lease_until=Now() - 1))
        assert jobs.reap(connection, lambda _: None, OwnerGone().to_json())
    second = Runner(database, settings, QUICK, "second")
    run_until(second, lambda: fetch(database, one).checkpoint_step == 2)

    runner.tick()

    assert runner.running == {}
    assert not zombie.is_running()
    assert fetch(database, one).owner == "second"
    assert told(database, one, "step") == [1, 2]
    want(database, one, "cancel")
    run_to_state(second, one, *FINAL)


def test_rel_08_what_happens_while_the_database_is_away_is_told_afterwards(
    runner: Runner, database: Database, monkeypatch
):
    one = submit(database, "step", "step", "save", "step")
    run_until(runner, lambda: bool(runner.running))
    process = worker_of(runner)

    def away():
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr(database.engine, "connect", away)
        patch.setattr(database.engine, "begin", away)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            runner.tick()

    assert run_to_state(runner, one, *FINAL).state == "succeeded"
    assert told(database, one, "step") == [1, 2, 3]


def test_deleting_what_older_attempts_left_keeps_the_last(runner: Runner, database: Database, settings: Settings):
    one = submit(database, "step", "save", "hang")
    run_until(runner, lambda: fetch(database, one).checkpoint_step == 1)
    runner.close()
    with database.writing() as connection:
        connection.execute(update(job_table).values(spec={"act": ["step"], "total": 2}))

    assert run_to_state(runner, one, *FINAL).state == "succeeded"

    assert [path.name for path in settings.home.job(one.id).iterdir()] == ["a2"]


def test_two_runners_in_one_directory_take_turns(settings: Settings):
    code = (
        "import sys, threading; from pathlib import Path; from llmlora.paths import Home\n"
        "from llmlora.jobs.runner import only_one\n"
        f"with only_one(Home(Path({str(settings.home.root)!r})), threading.Event()): print('mine', flush=True); input()"
    )

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True)

    with start() as first:
        assert first.stdout.readline() == "mine\n"
        with start() as second:
            os.kill(first.pid, signal.SIGKILL)
            assert second.stdout.readline() == "mine\n"
            second.communicate("\n")
        first.communicate()


def test_waiting_for_another_runner_ends_when_asked(settings: Settings):
    import threading

    stop = threading.Event()
    with only_one(settings.home, stop):
        stop.set()
        with only_one(settings.home, stop):
            pass
