"""The live stream as a route."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from llmlora.api.context import Context, Here
from llmlora.api.errors import ErrorBody
from llmlora.api.hub import Topics
from llmlora.api.labels import Id
from llmlora.api.stream import EventStream
from llmlora.errors import NotFound
from llmlora.store import jobs
from llmlora.store.jobs import Desired, Kind, State
from llmlora.train.events import Evaluated, Failed, Finished, Sampled, Saved, Started, Step, Warned

router = APIRouter(prefix="/api", tags=["events"])

TOPIC = r"(jobs|datasets|chats|job:[a-z0-9]{1,32})"
TOPICS = rf"^{TOPIC}(,{TOPIC}){{0,63}}$"
Number = Annotated[int | None, Query(ge=0, le=2**62)]
LastId = Annotated[str | None, Header(max_length=20)]


class StateTold(BaseModel):
    """Event `state`: a job has changed."""

    id: str
    name: str
    kind: Kind
    state: State
    desired: Desired
    attempt: int
    step: int
    total_steps: int | None
    error: dict[str, Any] | None
    finished_at: float | None


class RewoundTold(BaseModel):
    """Event `rewound`: what was told of later steps no longer holds."""

    step: int
    kept: int


class DatasetTold(BaseModel):
    """Event `dataset`: it is new, or has changed."""

    id: str
    name: str
    version: int


class ChatTold(BaseModel):
    """Event `chat`: it is new, or has changed."""

    id: str
    name: str


class DeletedTold(BaseModel):
    """Event `deleted`: a data set, a job or a chat."""

    dataset_id: str | None = None
    job_id: str | None = None
    chat_id: str | None = None


class ProgressTold(BaseModel):
    """Event `progress`: how far a download is, in bytes, or a merge, or a registration, whose phase is the text."""

    text: str
    done: int
    total: int


class RegisteredTold(BaseModel):
    """Event `registered`: there is a model in Ollama now."""

    name: str
    route: Literal["adapter", "merged"]
    digest: str


class CertifiedTold(BaseModel):
    """Event `certified`: whether what was trained is what answers."""

    passed: bool


class Told(BaseModel):
    """The data of an event. `hello` (the stream begins here) and `reset` (load everything anew) have none."""

    job_id: str | None
    step: int
    body: (
        (StateTold | RewoundTold | DatasetTold | ChatTold | DeletedTold | ProgressTold)
        | (RegisteredTold | CertifiedTold)
        | (Started | Step | Evaluated | Sampled | Saved | Warned | Finished | Failed)
    )


STREAM: dict[int | str, dict[str, Any]] = {
    200: {"model": Told, "description": "Server-sent events"},
    503: {"model": ErrorBody, "description": "Too many streams are open"},
}


@router.get("/events", response_class=EventStream, responses=STREAM)
async def stream_events(
    here: Here,
    topics: Annotated[str, Query(pattern=TOPICS, max_length=4000)] = "jobs",
    after: Number = None,
    last_event_id: LastId = None,
) -> EventStream:
    """What happens, as it happens: `jobs` (their states), `datasets`, `chats`, `job:ID` (everything about one)."""
    names = topics.split(",")
    wanted = Topics(
        jobs="jobs" in names,
        datasets="datasets" in names,
        chats="chats" in names,
        of_jobs=frozenset(name.removeprefix("job:") for name in names if name.startswith("job:")),
    )
    return _stream(here, wanted, after, last_event_id)


@router.get("/training/jobs/{job_id}/events", response_class=EventStream, responses=STREAM)
def stream_job(here: Here, job_id: Id, after: Number = None, last_event_id: LastId = None) -> EventStream:
    """Everything about one job."""
    with here.database.reading() as connection:
        if jobs.fetch(connection, job_id) is None:
            raise NotFound("job", job_id)
    return _stream(here, Topics(of_jobs=frozenset({job_id})), after, last_event_id)


def _stream(here: Context, topics: Topics, after: int | None, last_event_id: str | None) -> EventStream:
    if here.hub.full:
        raise HTTPException(503, headers={"retry-after": "10"})
    if last_event_id and last_event_id.isdecimal():  # a browser that reconnects knows better than the address does
        after = int(last_event_id)
    return EventStream(here.hub.stream(topics, after))
