"""The queue, on both databases: one owner at a time, whatever happens."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event as database_event
from sqlalchemy import update

from llmlora.errors import JobConflict, KeyReused, WorkerDied
from llmlora.jobs.owner import is_gone, me
from llmlora.store import events, jobs
from llmlora.store.database import Database, Now
from llmlora.store.jobs import ACTIVE, FINAL, MAX_ATTEMPTS, Job, Request
from llmlora.store.tables import job as job_table

WORK = Request("train", "a job", {"recipe": {"rank": 8}})
ERROR = WorkerDied("SIGKILL").to_json()


def claim(database: Database, owner: str = "me") -> Job | None:
    with database.writing() as connection:
        return jobs.claim(connection, owner, ("train",))


def write(database: Database, one: Job, **values) -> Job | None:
    with database.writing() as connection:
        return jobs.write(connection, one.id, one.epoch, **values)


def want(database: Database, one: Job, desired: jobs.Desired) -> Job:
    with database.writing() as connection:
        return jobs.want(connection, one.id, desired)


def fetch(database: Database, one: Job) -> Job:
    with database.reading() as connection:
        return jobs.fetch(connection, one.id)


def let_lease_run_out(database: Database, one: Job) -> None:
    with database.writing() as connection:
        connection.execute(update(job_table).where(job_table.c.id == one.id).values(lease_until=Now() - 1))


def reap(database: Database, is_gone=lambda _: None) -> list[Job]:
    with database.writing() as connection:
        return jobs.reap(connection, is_gone, ERROR)


def in_state(database: Database, state: jobs.State) -> Job:
    """A job in this state, brought there as it happens in life."""
    one = jobs.submit(database, WORK)
    if state == "queued":
        return one
    if state == "paused":
        return want(database, one, "pause")
    one = claim(database)
    if state == "starting":
        return one
    if state == "waiting_retry":
        with database.writing() as connection:
            return jobs.give_up(connection, one, ERROR, 3600.0)
    return write(database, one, state=state)


def test_jobs_are_taken_in_the_order_they_came(database: Database):
    first, second = jobs.submit(database, WORK), jobs.submit(database, WORK)
    with database.reading() as connection:
        assert [jobs.position(connection, one) for one in (first, second)] == [0, 1]

    assert [claim(database).id, claim(database).id, claim(database)] == [first.id, second.id, None]


def test_rel_13_twenty_submits_at_once_with_one_key_make_one_job(database: Database):
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda _: jobs.submit(database, WORK, "key").id, range(20)))

    assert len(set(made)) == 1
    with pytest.raises(KeyReused):
        jobs.submit(database, Request("train", "another", {}), "key")


def test_rel_14_no_job_is_claimed_twice(database: Database):
    count = 300
    for _ in range(count):
        jobs.submit(database, WORK)

    def take_all(owner: str) -> list[str]:
        taken = []
        while one := claim(database, owner):
            taken.append(one.id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [job_id for part in pool.map(take_all, "abcd") for job_id in part]

    assert len(taken) == len(set(taken)) == count


def test_rel_09_what_an_old_owner_writes_is_refused(database: Database):
    jobs.submit(database, WORK)
    old = claim(database, "old")
    let_lease_run_out(database, old)
    assert [one.id for one in reap(database)] == [old.id]
    new = claim(database, "new")

    assert new.epoch == old.epoch + 1
    assert write(database, old, state="succeeded") is None
    with database.writing() as connection:
        assert jobs.renew(connection, old.id, old.epoch) is None
    assert fetch(database, old).owner == "new"


def test_a_lease_that_is_renewed_does_not_run_out(database: Database):
    jobs.submit(database, WORK)
    one = claim(database)
    let_lease_run_out(database, one)
    with database.writing() as connection:
        assert jobs.renew(connection, one.id, one.epoch) == "run"

    assert reap(database) == []


def test_rel_15_a_living_owner_on_this_machine_keeps_its_job_whatever_the_clock_says(database: Database):
    jobs.submit(database, WORK)
    one = claim(database, me())
    let_lease_run_out(database, one)

    assert reap(database, is_gone) == []


def test_a_dead_owner_on_this_machine_loses_its_job_at_once(database: Database):
    jobs.submit(database, WORK)
    place, _, start = me().rpartition("/")
    claim(database, f"{place}/{int(start) + 1}")  # the same number, another process

    assert len(reap(database, is_gone)) == 1


def test_rel_17_a_job_that_never_gets_further_fails_after_three_attempts(database: Database):
    one = jobs.submit(database, WORK)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        one = claim(database)
        assert one.attempt == attempt
        with database.writing() as connection:
            one = jobs.give_up(connection, one, ERROR, 0.0)

    assert one.state == "failed"
    assert one.error == ERROR
    assert claim(database) is None


def test_a_retry_waits_for_its_time(database: Database):
    one = in_state(database, "waiting_retry")
    assert claim(database) is None

    with database.writing() as connection:
        connection.execute(update(job_table).values(not_before=0.0))

    assert claim(database).id == one.id


@pytest.mark.parametrize("state", ["queued", "paused", "waiting_retry"])
def test_rel_12_cancelling_what_nobody_runs_takes_effect_at_once(database: Database, state: jobs.State):
    assert want(database, in_state(database, state), "cancel").state == "cancelled"
    assert claim(database) is None


@pytest.mark.parametrize("state", ACTIVE)
def test_rel_12_cancelling_what_runs_is_heard_by_its_owner(database: Database, state: jobs.State):
    one = want(database, in_state(database, state), "cancel")

    assert (one.state, one.desired) == (state, "cancel")
    with database.writing() as connection:
        assert jobs.renew(connection, one.id, one.epoch) == "cancel"


@pytest.mark.parametrize("state", FINAL)
def test_rel_12_what_is_over_stays_as_it_is(database: Database, state: jobs.State):
    one = in_state(database, state)

    assert want(database, one, "cancel").state == state
    with pytest.raises(JobConflict):
        want(database, one, "pause")


def test_a_failed_job_can_be_tried_again_with_fresh_attempts(database: Database):
    again = want(database, in_state(database, "failed"), "run")

    assert (again.state, again.attempt, again.error) == ("queued", 0, None)
    assert claim(database).id == again.id


def test_a_succeeded_job_cannot_be_tried_again(database: Database):
    with pytest.raises(JobConflict):
        want(database, in_state(database, "succeeded"), "run")


def test_a_running_job_is_not_deleted(database: Database):
    one = in_state(database, "running")

    with database.writing() as connection, pytest.raises(JobConflict):
        jobs.remove(connection, one.id)


def test_a_deleted_job_takes_its_events_with_it_and_says_so(database: Database):
    one = in_state(database, "failed")
    with database.writing() as connection:
        assert jobs.remove(connection, one.id)
        assert not jobs.remove(connection, one.id)

    with database.reading() as connection:
        assert [event.kind for event in events.after(connection, 0, 100)] == ["deleted"]


def test_a_reader_that_follows_the_numbers_misses_no_event(database: Database):
    writers, each = 4, 25
    done, seen = threading.Event(), []

    def write_some(number: int) -> None:
        for at in range(each):
            with database.writing() as connection:
                events.tell(connection, None, "dataset", {"writer": number, "at": at})

    def follow() -> None:
        last, finished = 0, False
        while not finished:
            finished = done.is_set()  # one more look after the last write
            with database.reading() as connection:
                found = events.after(connection, last, 1000)
            seen.extend(event.seq for event in found)
            last = seen[-1] if seen else 0

    reader = threading.Thread(target=follow)
    reader.start()
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write_some, range(writers)))
    done.set()
    reader.join()

    assert seen == sorted(seen)
    assert len(seen) == writers * each


def test_the_first_job_is_found_without_sorting_the_queue(tmp_path):
    database, plans = Database(f"sqlite:///{tmp_path}/llmlora.db"), []

    def explain(connection, _, statement, parameters, *__):
        if statement.startswith("UPDATE job"):
            cursor = connection.connection.cursor()
            cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            plans.extend(row[-1] for row in cursor.fetchall())

    jobs.submit(database, WORK)
    database_event.listen(database.engine, "before_cursor_execute", explain)
    claim(database)
    database.close()

    assert any("job_queue" in plan for plan in plans)
    assert not any("ORDER BY" in plan for plan in plans)
