"""A training job's adapter as a model in Ollama: jobs that make it and prove that it answers as it was trained."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from llmlora.api.artefacts import base_name_of_job, succeeded
from llmlora.api.context import Context, Here, Reader
from llmlora.api.errors import Problem
from llmlora.api.jobs import cancel_follow_up, follow_ups, job_of, problem_of
from llmlora.api.labels import Id, file_name
from llmlora.certify.certificate import Certificate, Line, Measure, Verdict, last_certificate
from llmlora.certify.page import page_of, words_of_limit, words_of_measurement
from llmlora.errors import NotFound
from llmlora.export.mapping import open_gguf
from llmlora.export.registered import Registered, name_of, need_free
from llmlora.store import events, jobs
from llmlora.store.jobs import Desired, Job, State
from llmlora.text.catalogue import Language, say
from llmlora.text.visible import diff

router = APIRouter(prefix="/api/training/jobs/{job_id}", tags=["ollama"])


class RegistrationRequest(BaseModel):
    """What to call the model. With `force` it replaces one that llmlora did not make."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    force: bool = False
    certify: bool = True


class RegisteredBody(BaseModel):
    """A model in Ollama. `why` is the reason for the route where the adapter is not beside its base."""

    name: str
    route: Literal["adapter", "merged"]
    version: str
    why: str | None
    digest: str
    seconds: float
    at: datetime


class RegistrationBody(BaseModel):
    """A register job: `text` is what it does, `done` of `total` of that is done. `passed` tells of its certificate."""

    id: str
    training_job_id: str
    name: str
    state: State
    desired: Desired
    text: str | None
    done: int
    total: int
    error: Problem | None
    registered: RegisteredBody | None
    passed: bool | None


class CertificateLine(BaseModel):
    """A comparison, in numbers and in words; `title` says what was compared."""

    what: str
    title: str
    measure: Measure
    measured: float | None
    measured_text: str
    limit: float | None
    limit_text: str
    compared: int
    verdict: Verdict


class CertificateAnswer(BaseModel):
    """What base and tuned model say; `served` by Ollama."""

    question: str
    base: str
    tuned: str | None
    served: str | None


class CertificateBody(BaseModel):
    """Whether what was trained is what answers. `prompts`: as training writes one, and as Ollama does; `prompt_diff` is
    how they differ.
    """

    passed: bool
    base: str
    base_digest: str
    adapter_digest: str
    rows: int
    tokens: int
    origin: str
    registered: RegisteredBody | None
    lines: list[CertificateLine]
    prompts: list[str] | None
    prompt_diff: str
    answers: list[CertificateAnswer]
    seconds: float
    at: datetime


@router.post("/ollama", status_code=201)
def create_registration(here: Here, reader: Reader, job_id: Id, request: RegistrationRequest) -> RegistrationBody:
    """Begin to make the adapter a model in Ollama, and to prove it. While one of this name is under way, that one is
    the answer.
    """
    one = succeeded(here, job_id)
    name = name_of(request.name)
    with open_gguf(here.base(base_name_of_job(here, one))):
        pass  # or it is refused, and said now, not by a job
    for other in follow_ups(here, job_id, "register"):
        if other.state not in jobs.FINAL and name.same(name_of(other.spec["name"])):
            return _body(here, other, reader)
    need_free(here.settings.ollama_address, name, force=request.force)
    spec = {
        "training_job_id": one.id,
        "adapter": str(here.settings.home.attempt(one.id, one.epoch)),
        "workshop": str(here.settings.home.exports(one.id)),
        "label": one.name,
        **request.model_dump(),
        "name": str(name),
    }
    return _body(here, jobs.submit(here.database, jobs.Request("register", one.name, spec)), reader)


@router.get("/ollama")
def list_registrations(here: Here, reader: Reader, job_id: Id) -> list[RegistrationBody]:
    """The register jobs of a training job, newest first."""
    job_of(here, job_id)
    return [_body(here, one, reader) for one in follow_ups(here, job_id, "register")]


@router.post("/ollama/{registration_id}/cancel")
def cancel_registration(here: Here, reader: Reader, job_id: Id, registration_id: Id) -> RegistrationBody:
    """End a register job; what it has half made in Ollama is taken back."""
    return _body(here, cancel_follow_up(here, job_id, "register", registration_id), reader)


@router.get("/certificate")
def get_certificate(here: Here, reader: Reader, job_id: Id) -> CertificateBody:
    """The newest certificate, in the reader's language."""
    one = _certificate(here, job_id)
    return CertificateBody(
        **{name: getattr(one, name) for name in ("passed", "base", "base_digest", "adapter_digest", "rows", "tokens")},
        origin=one.origin.said(reader),
        registered=_registered(one.registered, reader),
        lines=[_line(line, reader) for line in one.lines],
        prompts=one.prompts,
        prompt_diff=diff(one.prompts[0], one.prompts[1], "training", "Ollama") if one.prompts else "",
        answers=[CertificateAnswer(**answer.model_dump()) for answer in one.answers],
        seconds=one.seconds,
        at=one.at,
    )


@router.get("/certificate/page", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def download_certificate(here: Here, reader: Reader, job_id: Id) -> Response:
    """The newest certificate as a page that needs nothing else."""
    name = file_name(job_of(here, job_id).name, "-certificate.html")
    page = page_of(_certificate(here, job_id), reader)
    disposition = f"attachment; filename*=utf-8''{quote(name)}"
    return Response(page, media_type="text/html", headers={"content-disposition": disposition})


def _certificate(here: Context, job_id: str) -> Certificate:
    one = job_of(here, job_id)
    found = last_certificate(here.settings.home.attempt(one.id, one.epoch))
    if found is None:
        raise NotFound("certificate", one.name)
    return found


def _body(here: Context, one: Job, reader: Language) -> RegistrationBody:
    with here.database.reading() as connection:
        told = {kind: events.last_of_job(connection, one.id, kind) for kind in ("progress", "registered", "certified")}
    progress, made = told["progress"], told["registered"]
    return RegistrationBody(
        id=one.id,
        training_job_id=one.spec["training_job_id"],
        name=one.spec["name"],
        state=one.state,
        desired=one.desired,
        text=say(reader, progress["text"]) if progress else None,
        done=progress.get("done", 0),
        total=progress.get("total", 0),
        error=problem_of(one.error, reader),
        registered=_registered(Registered.model_validate(made), reader) if made else None,
        passed=told["certified"].get("passed"),
    )


def _registered(one: Registered | None, reader: Language) -> RegisteredBody | None:
    if one is None:
        return None
    facts = one.model_dump(include={"name", "route", "version", "digest", "seconds", "at"})
    return RegisteredBody(**facts, why=one.why.said(reader) if one.why else None)


def _line(line: Line, reader: Language) -> CertificateLine:
    facts = line.model_dump(include={"what", "measure", "measured", "limit", "compared", "verdict"})
    return CertificateLine(
        **facts,
        title=line.title.said(reader),
        measured_text=words_of_measurement(line, reader),
        limit_text=words_of_limit(line, reader),
    )
