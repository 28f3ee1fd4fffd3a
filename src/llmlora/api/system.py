"""The state of this installation: what `llmlora doctor` finds, what there is, and how it is set."""

import platform
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.engine import make_url

from llmlora import __version__
from llmlora.api.context import Context, Here, Reader
from llmlora.doctor import Finding, Status, examine
from llmlora.settings import Settings
from llmlora.store import jobs, tables
from llmlora.store.jobs import Kind, State
from llmlora.text.catalogue import Language

KEPT_SECONDS = 10.0
KINDS: tuple[Kind, ...] = get_args(Kind)


class FindingBody(BaseModel):
    """What a check found, in words; `mend` is empty when nothing need be done."""

    code: str
    status: Status
    facts: dict[str, Any]
    text: str
    mend: str


class Versions(BaseModel):
    llmlora: str
    python: str


class Counts(BaseModel):
    datasets: int
    jobs: int
    waiting: int
    chats: int


class RunningJob(BaseModel):
    id: str
    name: str
    kind: Kind
    state: State
    step: int
    total_steps: int | None


class SettingsBody(BaseModel):
    """What the environment of the server decides; it is changed there, not here."""

    data_directory: str
    database: str
    language: Language
    ollama_address: str
    ollama_stores: list[str]
    memory_limit_mb: int | None


class SystemBody(BaseModel):
    """The findings are at most some seconds old, everything else is of now. `ok`: nothing fails."""

    ok: bool
    findings: list[FindingBody]
    versions: Versions
    counts: Counts
    running: list[RunningJob]
    settings: SettingsBody


class Examination:
    """The findings, kept for some seconds; asked by many at once, it looks once."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._findings: list[Finding] = []
        self._good_until = 0.0

    def findings(self, settings: Settings) -> list[Finding]:
        with self._turn:
            if time.monotonic() >= self._good_until:
                self._findings = examine(settings)
                self._good_until = time.monotonic() + KEPT_SECONDS
            return self._findings


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Examination]]:
    """The examination of an app, as `request.state.examination`."""
    yield {"examination": Examination()}


def examination_of(request: Request) -> Examination:
    """The examination of the app that serves this request."""
    examination: Examination = request.state.examination
    return examination


router = APIRouter(prefix="/api/system", tags=["system"], lifespan=lifespan)


@router.get("")
def get_system(here: Here, reader: Reader, examination: Annotated[Examination, Depends(examination_of)]) -> SystemBody:
    """How this installation is."""
    findings = examination.findings(here.settings)
    with here.database.reading() as connection:
        counts = Counts(
            datasets=_count(connection, tables.dataset),
            jobs=_count(connection, tables.job),
            waiting=_count(connection, tables.job, jobs.WAITING),
            chats=_count(connection, tables.chat),
        )
        running = [one for kind in KINDS for one in jobs.listed(connection, kind, jobs.ACTIVE)]
    return SystemBody(
        ok=all(one.status != "fail" for one in findings),
        findings=[_finding(one, reader) for one in findings],
        versions=Versions(llmlora=__version__, python=platform.python_version()),
        counts=counts,
        running=[RunningJob(**{name: getattr(one, name) for name in RunningJob.model_fields}) for one in running],
        settings=_settings(here),
    )


def _count(connection: Connection, table: Table, states: tuple[State, ...] = ()) -> int:
    query = select(func.count()).select_from(table)
    if states:
        query = query.where(table.c.state.in_(states))
    return int(connection.execute(query).scalar_one())


def _finding(one: Finding, reader: Language) -> FindingBody:
    return FindingBody(**asdict(one), text=one.text(reader), mend=one.mend(reader))


def _settings(here: Context) -> SettingsBody:
    settings = here.settings
    return SettingsBody(
        data_directory=str(settings.home.root),
        database=make_url(settings.database_url).render_as_string(hide_password=True),
        language=settings.language,
        ollama_address=settings.ollama_address,
        ollama_stores=[str(path) for path in settings.ollama_stores],
        memory_limit_mb=settings.memory_limit_mb,
    )
