"""The queue. People write `desired`, owners write `state`; every write of an owner carries its epoch.

    queued → starting → running → succeeded | failed | cancelled        paused: until someone resumes it
                 ↑___ waiting_retry ___|                                 waiting_retry: until `not_before`

A claim takes the job from whoever had it: the epoch grows, and what the old owner still writes matches no row.
Source of the pattern: Kleppmann, "How to do distributed locking" (2016), fencing tokens.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, null, select, text, update
from sqlalchemy.exc import IntegrityError

from llmlora.errors import JobConflict, KeyReused
from llmlora.store import events
from llmlora.store.database import Database, Now, new_id, take_numbers
from llmlora.store.tables import IS_ACTIVE, IS_WAITING, job

State = Literal["queued", "starting", "running", "waiting_retry", "paused", "succeeded", "failed", "cancelled"]
Desired = Literal["run", "pause", "cancel"]
Kind = Literal["train", "export", "register", "pull"]

WAITING: tuple[State, ...] = ("queued", "waiting_retry")
ACTIVE: tuple[State, ...] = ("starting", "running")
FINAL: tuple[State, ...] = ("succeeded", "failed", "cancelled")
LEASE_SECONDS = 30.0
MAX_ATTEMPTS = 3  # without a new checkpoint in between


@dataclass(frozen=True)
class Job:
    """A row of the table `job`."""

    id: str
    number: int
    kind: Kind
    name: str
    dataset_id: str | None
    spec: dict[str, Any]
    state: State
    desired: Desired
    epoch: int
    attempt: int
    owner: str | None
    lease_until: float
    not_before: float
    step: int
    total_steps: int | None
    checkpoint_step: int
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    idempotency_key: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None


@dataclass(frozen=True)
class Request:
    """What a new job is made of."""

    kind: Kind
    name: str
    spec: dict[str, Any]
    dataset_id: str | None = None


def submit(database: Database, request: Request, key: str | None = None) -> Job:
    """Put a job into the queue; the same `key` again gives the same job.

    Raises:
        KeyReused: the key was used for another request.
    """
    try:
        with database.writing() as connection:
            return (key and _with_key(connection, request, key)) or _insert(connection, request, key)
    except IntegrityError:  # PostgreSQL: the same key, a moment earlier
        with database.reading() as connection:
            if key and (found := _with_key(connection, request, key)):
                return found
        raise


def fetch(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(select(job).where(job.c.id == job_id)).first()
    return _job(row) if row else None


def listed(connection: Connection, kind: Kind, states: Collection[State] = ()) -> list[Job]:
    """Jobs of a kind, newest first, in all states unless some are named."""
    query = select(job).where(job.c.kind == kind).order_by(job.c.number.desc())
    if states:
        query = query.where(job.c.state.in_(states))
    return [_job(row) for row in connection.execute(query)]


def position(connection: Connection, one: Job) -> int | None:
    """How many waiting jobs of its kind are before it; None when it does not wait."""
    if one.state not in WAITING:
        return None
    before = (job.c.state.in_(WAITING), job.c.kind == one.kind, job.c.number < one.number)
    return int(connection.execute(select(func.count()).select_from(job).where(*before)).scalar_one())


def want(connection: Connection, job_id: str, desired: Desired) -> Job | None:
    """What a person wants of a job; None when there is no such job.

    A job that nobody runs changes its state at once, a running one when its owner hears of it. What is over stays as
    it is: cancelling a job that has just succeeded leaves it succeeded.

    Raises:
        JobConflict: a finished job cannot be paused, a running or succeeded one cannot be started.
    """
    one = _locked(connection, job_id)
    if one is None or (desired == "cancel" and one.state in FINAL):
        return one
    if one.state in ACTIVE:
        return _change(connection, one, desired=desired)
    if desired == "run":
        if one.state == "succeeded":
            raise JobConflict(one.name, one.state)
        fresh = {"state": "queued", "attempt": 0, "error": None, "finished_at": None, "not_before": 0.0}
        return _change(connection, one, desired="run", **fresh)
    if one.state in FINAL:
        raise JobConflict(one.name, one.state)
    if desired == "cancel":
        return _change(connection, one, state="cancelled", desired="cancel", finished_at=Now())
    return _change(connection, one, state="paused", desired="pause")


def remove(connection: Connection, job_id: str) -> bool:
    """Delete a job that nobody runs, with its events; False when there is none.

    Raises:
        JobConflict: it is running.
    """
    one = _locked(connection, job_id)
    if one is None:
        return False
    if one.state in ACTIVE:
        raise JobConflict(one.name, one.state)
    connection.execute(delete(job).where(job.c.id == job_id))
    events.tell(connection, None, "deleted", {"job_id": job_id})
    return True


def depending_on(connection: Connection, dataset_id: str) -> list[Job]:
    """Jobs that still need a data set: those that are not over."""
    query = select(job).where(job.c.dataset_id == dataset_id, job.c.state.notin_(FINAL))
    return [_job(row) for row in connection.execute(query.order_by(job.c.number))]


def any_waiting(connection: Connection, kinds: Collection[Kind]) -> bool:
    """Whether `claim` would find something, asked without a write."""
    ready = (text(IS_WAITING), job.c.desired == "run", job.c.not_before <= Now(), job.c.kind.in_(kinds))
    return connection.execute(select(job.c.id).where(*ready).limit(1)).first() is not None


def any_active(connection: Connection, besides: str) -> bool:
    """Whether anybody but `besides` runs a job."""
    others = (text(IS_ACTIVE), job.c.owner.is_distinct_from(besides))
    return connection.execute(select(job.c.id).where(*others).limit(1)).first() is not None


def claim(connection: Connection, owner: str, kinds: Collection[Kind]) -> Job | None:
    """Take the first waiting job of these kinds."""
    row = connection.execute(_claim(tuple(kinds)), {"claimer": owner}).first()
    return _told(connection, _job(row)) if row else None


@cache  # a statement takes longer to build than to run
def _claim(kinds: tuple[Kind, ...]) -> Any:
    first = (
        select(job.c.id)
        .where(text(IS_WAITING), job.c.desired == "run", job.c.not_before <= Now(), job.c.kind.in_(kinds))
        .order_by(job.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = {
        "state": "starting",
        "owner": bindparam("claimer"),
        "epoch": job.c.epoch + 1,
        "attempt": job.c.attempt + 1,
        "lease_until": Now() + LEASE_SECONDS,
        "started_at": func.coalesce(job.c.started_at, Now()),
        "error": null(),
    }
    return update(job).where(job.c.id == first).values(taken).returning(job)


def renew(connection: Connection, job_id: str, epoch: int) -> Desired | None:
    """Prolong the lease; what people want of the job, or None when it has another owner by now."""
    held = update(job).where(job.c.id == job_id, job.c.epoch == epoch, job.c.state.in_(ACTIVE))
    prolonged = held.values(lease_until=Now() + LEASE_SECONDS).returning(job.c.desired)
    return connection.execute(prolonged).scalar()


def desired_of(connection: Connection, job_id: str, epoch: int) -> Desired | None:
    """As `renew` answers, without prolonging."""
    held = select(job.c.desired).where(job.c.id == job_id, job.c.epoch == epoch, job.c.state.in_(ACTIVE))
    return connection.execute(held).scalar()


def write(connection: Connection, job_id: str, epoch: int, **values: Any) -> Job | None:
    """An owner's write; None when the job has another owner by now, and nothing was written.

    A change of the state is told as an event; other values are not.
    """
    held = update(job).where(job.c.id == job_id, job.c.epoch == epoch, job.c.state.in_(ACTIVE))
    row = connection.execute(held.values(values).returning(job)).first()
    if row is None:
        return None
    return _told(connection, _job(row)) if "state" in values else _job(row)


def give_up(connection: Connection, one: Job, error: Mapping[str, Any], wait: float) -> Job | None:
    """An attempt ended badly: try again after `wait` seconds, or fail when no attempt got any further."""
    if one.attempt < MAX_ATTEMPTS:
        again = {"state": "waiting_retry", "owner": None, "error": error, "not_before": Now() + wait}
        return write(connection, one.id, one.epoch, **again)
    return write(connection, one.id, one.epoch, state="failed", owner=None, error=error, finished_at=Now())


def reap(connection: Connection, is_gone: Callable[[str], bool | None], error: Mapping[str, Any]) -> list[Job]:
    """Give up on behalf of owners that are gone.

    `is_gone` answers for owners on this host, whom it can see, and None for others: those are gone when their lease
    is over.
    """
    over = (job.c.lease_until < Now()).label("over")
    gone = []
    for row in connection.execute(select(job, over).where(text(IS_ACTIVE))).all():
        values = dict(row._mapping)
        expired = bool(values.pop("over"))
        one = Job(**values)
        answer = is_gone(one.owner or "")
        if (expired if answer is None else answer) and give_up(connection, one, error, 0.0):
            gone.append(one)
    return gone


def to_event(one: Job) -> dict[str, Any]:
    """What the stream tells of a job when its state changes."""
    told = ("id", "name", "kind", "state", "desired", "attempt", "step", "total_steps", "error", "finished_at")
    return {name: value for name, value in asdict(one).items() if name in told}


def _insert(connection: Connection, request: Request, key: str | None) -> Job:
    values = {
        "id": new_id(),
        "number": take_numbers(connection),
        "kind": request.kind,
        "name": request.name,
        "spec": request.spec,
        "dataset_id": request.dataset_id,
        "state": "queued",
        "desired": "run",
        "epoch": 0,
        "attempt": 0,
        "lease_until": 0.0,
        "not_before": 0.0,
        "step": 0,
        "checkpoint_step": 0,
        "idempotency_key": key,
        "created_at": Now(),
    }
    return _told(connection, _job(connection.execute(insert(job).values(values).returning(job)).one()))


def _with_key(connection: Connection, request: Request, key: str) -> Job | None:
    row = connection.execute(select(job).where(job.c.idempotency_key == key)).first()
    if row is None:
        return None
    found = _job(row)
    if Request(found.kind, found.name, found.spec, found.dataset_id) != request:
        raise KeyReused(key)
    return found


def _locked(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(select(job).where(job.c.id == job_id).with_for_update()).first()
    return _job(row) if row else None


def _change(connection: Connection, one: Job, **values: Any) -> Job:
    changed = update(job).where(job.c.id == one.id).values(values).returning(job)
    return _told(connection, _job(connection.execute(changed).one()))


def _told(connection: Connection, one: Job) -> Job:
    events.tell(connection, one.id, "state", to_event(one), one.step)
    return one


def _job(row: Any) -> Job:
    return Job(**row._mapping)
