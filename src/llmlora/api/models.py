"""The bases there are: described, checked, and downloaded by Ollama."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, RootModel
from starlette.concurrency import run_in_threadpool

from llmlora.api.context import Context, Here, Reader
from llmlora.api.errors import Problem, problem
from llmlora.api.jobs import problem_of
from llmlora.api.stream import LineStream, line
from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.data.hf_text import read_hf_template
from llmlora.data.template import choose_template
from llmlora.errors import ModelNotFound, NotFound, OllamaFailed, OllamaUnreachable
from llmlora.failure import LlmloraError
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile
from llmlora.model.describe import Description, TensorCount, Tokenizer, describe, reason_of
from llmlora.model.hf import HfDirectory
from llmlora.model.prompts import rendering_in_force
from llmlora.model.source import Base, list_names
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
FORGOTTEN: tuple[State, ...] = ("succeeded", "cancelled")


class ModelBody(BaseModel):
    """A base. None where nothing is known. Why it cannot be trained is the `reason`, to stand after “no, because”, and
    what to do about that the `hint`."""

    name: str
    trainable: bool
    reason: str | None
    hint: str | None = None
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


class RenderingBody(BaseModel):
    """How Ollama writes a base's prompts: `text` says it, with any doubt. `source` is a name or a template."""

    kind: Literal["renderer", "go", "jinja", "none"]
    source: str
    text: str


class ModelDetails(ModelBody):
    """A base from inside: its layers, names that `target_modules` may hold, the source of its chat template, and how
    Ollama writes its prompts.
    """

    layers: int | None = None
    targets: list[str] = []
    template: str | None = None
    rendering: RenderingBody | None = None


class OllamaBody(BaseModel):
    """The Ollama server; where it is not reachable, `error` says why and how to mend it."""

    address: str
    reachable: bool
    version: str | None
    error: Problem | None = None


class ModelsBody(BaseModel):
    models: list[ModelBody]
    ollama: OllamaBody


class PullProgress(BaseModel):
    """Bytes done of bytes in all of the part being downloaded, 0 of 0 where there are none."""

    kind: Literal["progress"] = "progress"
    text: str
    done: int
    total: int


class PullJob(BaseModel):
    """Where a download stands: the first line and the last. `seq` is the event to go on from in the live stream."""

    kind: Literal["job"] = "job"
    id: str
    model: str
    state: State
    progress: PullProgress | None
    error: Problem | None
    seq: int


class PullLine(RootModel[PullJob | PullProgress]):
    """A line of a download."""


@router.get("")
def list_models(here: Here, reader: Reader) -> ModelsBody:
    """Every base: the samples, and what Ollama has."""
    names = list_names(here.settings.home, here.settings.ollama_stores)
    found = [_body(_described(here, name), reader) for name in names]
    ollama = OllamaBody(address=here.settings.ollama_address, reachable=False, version=None)
    try:
        ollama.version, ollama.reachable = client.version(ollama.address), True
        found += _elsewhere(here, reader, names)
    except (OllamaUnreachable, OllamaFailed) as error:  # that it does not answer is part of the answer
        ollama.error = problem(error, reader)
    return ModelsBody(models=found, ollama=ollama)


@router.get("/check/{name:path}")
def check_model(here: Here, reader: Reader, name: str) -> ModelBody:
    """Whether a base can be trained, and why not."""
    return _found(here, reader, name)[0]


@router.get("/pull")
def list_pulls(here: Here, reader: Reader) -> list[PullJob]:
    """The downloads under way, and those that failed: of each model the latest."""
    with here.database.reading() as connection:
        latest = {one.spec["model"]: one for one in reversed(jobs.listed(connection, "pull"))}
    return [_pull_body(here, one, reader) for one in latest.values() if one.state not in FORGOTTEN]


@router.delete("/pull/{name:path}", status_code=204)
def end_pull(here: Here, name: str) -> Response:
    """End the download of a model, or forget that it failed. Ollama keeps the parts it has."""
    model = str(Name.parse(name.removeprefix("ollama:")))
    with here.database.writing() as connection:
        found = [one for one in jobs.listed(connection, "pull") if one.spec["model"] == model]
        if not found:
            raise NotFound("job", name)
        for one in found:
            if one.state in jobs.FINAL:
                jobs.remove(connection, one.id)
            else:
                jobs.want(connection, one.id, "cancel")
    return Response(status_code=204)


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
    if path and path.is_dir():
        return _details_of_directory(details, HfDirectory.open(path))
    architecture = ARCHITECTURES.get(body.architecture or "")
    if path and architecture:
        details.targets = architecture.targets
        with GgufFile(path) as file:
            details.layers = file.metadata.get(f"{architecture.name}.block_count")
            details.template = choose_template(file).source if body.chat_template else None
        details.rendering = _rendering(here, reader, body.name)
    return details


def _rendering(here: Context, reader: Language, name: str) -> RenderingBody | None:
    found = rendering_in_force(here.base(name), here.settings.ollama_stores, here.settings.ollama_address)
    return RenderingBody(kind=found.kind, source=found.source, text=found.words().said(reader)) if found else None


def _details_of_directory(details: ModelDetails, directory: HfDirectory) -> ModelDetails:
    if details.trainable:
        details.layers = directory.layers
        details.targets = HF_ARCHITECTURES[directory.model_type].targets
        details.template = read_hf_template(directory.path).source
    return details


def _body(one: Description, reader: Language) -> ModelBody:
    why = {"reason": reason_of(one.obstacle, reader), "hint": one.obstacle.hint(reader)} if one.obstacle else {}
    return ModelBody(**one.to_json() | why)


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
        base = here.base(name)
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
    yield line(await run_in_threadpool(_pull_body, here, job, reader))
    seq = 0
    while True:
        now, found = await run_in_threadpool(_news, here, job.id, seq)
        for one in found:
            seq = one.seq
            if one.kind == "progress":
                yield line(_progress(json.loads(one.body)))
        if now is None:  # deleted
            return
        if now.state in OVER:
            yield line(await run_in_threadpool(_pull_body, here, now, reader))
            return
        await asyncio.sleep(LOOK_SECONDS)


def _news(here: Context, job_id: str, seq: int) -> tuple[Job | None, list[Event]]:
    with here.database.reading() as connection:
        job = jobs.fetch(connection, job_id)  # first: once it is over, no more events follow
        return job, events.after(connection, seq, 1000, job_id)


def _pull_body(here: Context, job: Job, reader: Language) -> PullJob:
    with here.database.reading() as connection:
        seq = events.newest(connection)  # first: what happens from now on is told by the stream
        told = events.last_of_job(connection, job.id, "progress")
    return PullJob(
        id=job.id,
        model=job.spec["model"],
        state=job.state,
        progress=_progress(told) if told else None,
        error=problem_of(job.error, reader),
        seq=seq,
    )


def _progress(told: dict[str, Any]) -> PullProgress:
    return PullProgress(**{name: told[name] for name in ("text", "done", "total")})
