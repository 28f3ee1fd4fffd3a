"""The bases there are: described, checked, and downloaded by Ollama."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, RootModel
from starlette.concurrency import run_in_threadpool

from llmlora.api.context import Context, Here, Reader
from llmlora.api.errors import Problem
from llmlora.api.jobs import problem_of
from llmlora.api.stream import LineStream, line
from llmlora.data.template import choose_template
from llmlora.errors import LlmloraError, ModelNotFound, OllamaFailed, OllamaUnreachable
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile
from llmlora.model.describe import Description, TensorCount, Tokenizer, describe, reason_of
from llmlora.model.source import Base, list_names, resolve
from llmlora.ollama import client, store
from llmlora.ollama.names import Name
from llmlora.store import events, jobs
from llmlora.store.events import Event
from llmlora.store.jobs import Job, State
from llmlora.text.catalogue import Language, say

router = APIRouter(prefix="/api/models", tags=["models"])

LOOK_SECONDS = 0.2
MAX_NAME = 200
OVER: tuple[State, ...] = (*jobs.FINAL, "paused")


class ModelBody(BaseModel):
    """A base. `reason` is why it cannot be trained, to stand after “no, because”; None where nothing is known."""

    name: str
    trainable: bool
    reason: str | None
    path: str | None = None
    digest: str | None = None
    size: int | None = None
    architecture: str | None = None
    parameters: int | None = None
    tensor_types: list[TensorCount] = []
    context_length: int | None = None
    license: str | None = None
    tokenizer: Tokenizer | None = None
    chat_template: str | None = None


class ModelDetails(ModelBody):
    """A base from inside: its layers, the names that `target_modules` may hold, the source of its chat template."""

    layers: int | None = None
    targets: list[str] = []
    template: str | None = None


class OllamaBody(BaseModel):
    address: str
    reachable: bool
    version: str | None


class ModelsBody(BaseModel):
    models: list[ModelBody]
    ollama: OllamaBody


class PullJob(BaseModel):
    """Where a download stands: the first line and the last."""

    kind: Literal["job"] = "job"
    id: str
    model: str
    state: State
    error: Problem | None


class PullProgress(BaseModel):
    """Bytes done of bytes in all of the part being downloaded, 0 of 0 where there are none."""

    kind: Literal["progress"] = "progress"
    text: str
    done: int
    total: int


class PullLine(RootModel[PullJob | PullProgress]):
    """A line of a download."""


@router.get("")
def list_models(here: Here, reader: Reader) -> ModelsBody:
    """Every base: the samples, and what Ollama has."""
    names = list_names(here.settings.home, here.settings.ollama_stores)
    found = [_body(_described(here, name), reader) for name in names]
    ollama = OllamaBody(address=here.settings.ollama_address, reachable=False, version=None)
    with suppress(OllamaUnreachable, OllamaFailed):  # that it does not answer is part of the answer
        ollama.version, ollama.reachable = client.version(ollama.address), True
        found += _elsewhere(here, reader, names)
    return ModelsBody(models=found, ollama=ollama)


@router.get("/check/{name:path}")
def check_model(here: Here, reader: Reader, name: str) -> ModelBody:
    """Whether a base can be trained, and why not."""
    return _found(here, reader, name)[0]


@router.post("/pull/{name:path}", response_class=LineStream, responses={200: {"model": PullLine}})
def pull_model(here: Here, reader: Reader, name: str) -> LineStream:
    """Have Ollama download a model, as a job. The answer tells how far it is; the job goes on without a listener."""
    parsed = Name.parse(name.removeprefix("ollama:"))
    if parsed is None or len(str(parsed)) > MAX_NAME:
        raise OllamaFailed("invalid model name")
    client.version(here.settings.ollama_address)
    return LineStream(_follow(here, _pull_job(here, str(parsed)), reader))


@router.get("/{name:path}")
def get_model(here: Here, reader: Reader, name: str) -> ModelDetails:
    """All about one base."""
    body, path = _found(here, reader, name)
    details = ModelDetails(**body.model_dump())
    architecture = ARCHITECTURES.get(body.architecture or "")
    if path and architecture:
        details.targets = architecture.targets
        with GgufFile(path) as file:
            details.layers = file.metadata.get(f"{architecture.name}.block_count")
            details.template = choose_template(file).source if body.chat_template else None
    return details


def _body(one: Description, reader: Language) -> ModelBody:
    return ModelBody(**one.to_json() | {"reason": reason_of(one.obstacle, reader) if one.obstacle else None})


def _found(here: Context, reader: Language, name: str) -> tuple[ModelBody, Path | None]:
    """A base and its file, where we can see one.

    Raises:
        ModelNotFound: neither we nor Ollama know it.
    """
    one = _described(here, name)
    if not isinstance(one.obstacle, ModelNotFound):
        return _body(one, reader), one.path
    asked = Name.parse(name.removeprefix("ollama:"))
    with suppress(OllamaUnreachable, OllamaFailed):
        for body in _elsewhere(here, reader, ()):
            if asked and body.name == f"ollama:{asked}":
                return body, None
    raise one.obstacle


def _described(here: Context, name: str) -> Description:
    try:
        base = resolve(name, here.settings.home, here.settings.ollama_stores)
        status = base.path.stat()
    except LlmloraError as error:
        return Description(name, error)
    return _read(base, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _read(base: Base, size: int, mtime_ns: int) -> Description:  # noqa: ARG001 - another size or time: another file
    return describe(base)


def _elsewhere(here: Context, reader: Language, names: Iterable[str]) -> Iterator[ModelBody]:
    """Models that Ollama lists and whose files we cannot see."""
    known = [own for name in names if (own := Name.parse(name.removeprefix("ollama:")))]
    for tag in client.models(here.settings.ollama_address):
        name = Name.parse(tag.name)
        if name and not any(name.same(own) for own in known):
            reason = _why_unseen(here, name, reader)
            yield ModelBody(name=f"ollama:{name}", trainable=False, reason=reason, size=tag.size)


def _why_unseen(here: Context, name: Name, reader: Language) -> str:
    try:
        store.find(name, here.settings.ollama_stores)
    except LlmloraError as error:
        return reason_of(error, reader)
    return say(reader, "models.elsewhere")


def _pull_job(here: Context, model: str) -> Job:
    """The job that downloads `model`: one that is on its way already, or a new one."""
    with here.database.reading() as connection:
        for one in jobs.listed(connection, "pull", (*jobs.WAITING, *jobs.ACTIVE)):
            if one.spec["model"] == model:
                return one
    return jobs.submit(here.database, jobs.Request("pull", model, {"model": model}))


async def _follow(here: Context, job: Job, reader: Language) -> AsyncGenerator[str]:
    yield line(_pull_body(job, reader))
    seq = 0
    while True:
        now, found = await run_in_threadpool(_news, here, job.id, seq)
        for one in found:
            seq = one.seq
            if one.kind == "progress":
                yield line(PullProgress(**{name: json.loads(one.body)[name] for name in ("text", "done", "total")}))
        if now is None:  # deleted
            return
        if now.state in OVER:
            yield line(_pull_body(now, reader))
            return
        await asyncio.sleep(LOOK_SECONDS)


def _news(here: Context, job_id: str, seq: int) -> tuple[Job | None, list[Event]]:
    with here.database.reading() as connection:
        job = jobs.fetch(connection, job_id)  # first: once it is over, no more events follow
        return job, events.after(connection, seq, 1000, job_id)


def _pull_body(job: Job, reader: Language) -> PullJob:
    return PullJob(id=job.id, model=job.spec["model"], state=job.state, error=problem_of(job.error, reader))
