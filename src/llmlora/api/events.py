"""The live stream as a route."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.exceptions import HTTPException

from llmlora.api.hub import Hub, Topics
from llmlora.api.labels import Id
from llmlora.api.stream import EventStream

router = APIRouter(prefix="/api", tags=["events"])

TOPICS = r"^(jobs|datasets|job:[a-z0-9]{1,32})(,(jobs|datasets|job:[a-z0-9]{1,32})){0,63}$"
Number = Annotated[int | None, Query(ge=0, le=2**62)]
LastId = Annotated[str | None, Header(max_length=20)]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}
}


@router.get("/events", response_class=EventStream, responses=STREAM)
def stream_events(
    request: Request,
    topics: Annotated[str, Query(pattern=TOPICS, max_length=4000)] = "jobs",
    after: Number = None,
    last_event_id: LastId = None,
) -> EventStream:
    """What happens, as it happens: `jobs` (their states), `datasets`, `job:ID` (everything about one)."""
    names = topics.split(",")
    wanted = Topics(
        jobs="jobs" in names,
        datasets="datasets" in names,
        of_jobs=frozenset(name.removeprefix("job:") for name in names if name.startswith("job:")),
    )
    return _stream(request, wanted, after, last_event_id)


@router.get("/training/jobs/{job_id}/events", response_class=EventStream, responses=STREAM)
def stream_job(request: Request, job_id: Id, after: Number = None, last_event_id: LastId = None) -> EventStream:
    """Everything about one job."""
    return _stream(request, Topics(of_jobs=frozenset({job_id})), after, last_event_id)


def _stream(request: Request, topics: Topics, after: int | None, last_event_id: str | None) -> EventStream:
    hub: Hub = request.app.state.hub
    if hub.full:
        raise HTTPException(503, headers={"retry-after": "10"})
    if last_event_id and last_event_id.isdecimal():  # a browser that reconnects knows better than the address does
        after = int(last_event_id)
    return EventStream(hub.stream(topics, after))
