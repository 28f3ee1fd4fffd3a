"""What came out of a training job: the adapter as files, as GGUF, merged, and the jobs that merge."""

import zipfile
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from llmlora.adapter import base_name_of, read_adapter
from llmlora.api.context import Context, Here, Reader
from llmlora.api.errors import Problem
from llmlora.api.jobs import cancel_follow_up, follow_ups, job_of, problem_of
from llmlora.api.labels import Id, file_name
from llmlora.errors import JobConflict, NotFound
from llmlora.export.adapter import export_adapter
from llmlora.export.mapping import open_gguf
from llmlora.files import replacing
from llmlora.paths import Run
from llmlora.store import events, jobs
from llmlora.store.jobs import Desired, Job, State
from llmlora.text.catalogue import Language

router = APIRouter(prefix="/api/training/jobs/{job_id}", tags=["artefacts"])

Artefact = Literal["adapter.zip", "adapter.gguf", "merged.gguf"]
MERGED = "merged.gguf"


class ArtefactBody(BaseModel):
    """A file to download. `bytes` is None while it does not exist: the adapter's are made when they are asked for."""

    name: Artefact
    bytes: int | None


class ExportBody(BaseModel):
    """An export job: `done` of `total` tensors are merged."""

    id: str
    training_job_id: str
    state: State
    desired: Desired
    done: int
    total: int | None
    error: Problem | None
    report: dict[str, Any] | None


@router.get("/artefacts")
def list_artefacts(here: Here, job_id: Id) -> list[ArtefactBody]:
    """What can be downloaded."""
    one = succeeded(here, job_id)
    names: tuple[Artefact, ...] = ("adapter.zip", "adapter.gguf", "merged.gguf")
    if base_name_of_job(here, one).startswith("hf:"):
        names = ("adapter.zip",)
    return [ArtefactBody(name=name, bytes=_size(here.settings.home.exports(one.id) / name)) for name in names]


@router.get("/artefacts/{name}")
def download_artefact(here: Here, job_id: Id, name: Artefact) -> FileResponse:
    """The adapter as PEFT reads it (zip) or as llama.cpp and Ollama do (GGUF), or the merged model once it is made."""
    one = succeeded(here, job_id)
    path = here.settings.home.exports(one.id) / name
    if name == "adapter.zip":
        _make_zip(Run(here.settings.home.attempt(one.id, one.epoch)).final_model, path)
    elif name == "adapter.gguf":
        adapter_gguf(here, one)
    if not path.exists():
        raise NotFound("artefact", name)
    return FileResponse(path, media_type="application/octet-stream", filename=file_name(one.name, f"-{name}"))


@router.post("/exports", status_code=201)
def create_export(here: Here, reader: Reader, job_id: Id) -> ExportBody:
    """Begin to merge the adapter into its base, as one GGUF. While one is under way, that one is the answer."""
    one = succeeded(here, job_id)
    if (base := base_name_of_job(here, one)).startswith("hf:"):
        open_gguf(here.base(base))  # refuses, and says so now, not by a job
    spec = {
        "training_job_id": one.id,
        "adapter": str(here.settings.home.attempt(one.id, one.epoch)),
        "target": str(here.settings.home.exports(one.id) / MERGED),
    }
    for other in follow_ups(here, job_id, "export"):
        if other.state not in jobs.FINAL:
            return _body(here, other, reader)
    return _body(here, jobs.submit(here.database, jobs.Request("export", one.name, spec)), reader)


@router.get("/exports")
def list_exports(here: Here, reader: Reader, job_id: Id) -> list[ExportBody]:
    """The export jobs of a training job, newest first."""
    job_of(here, job_id)
    return [_body(here, one, reader) for one in follow_ups(here, job_id, "export")]


@router.post("/exports/{export_id}/cancel")
def cancel_export(here: Here, reader: Reader, job_id: Id, export_id: Id) -> ExportBody:
    """End an export job."""
    return _body(here, cancel_follow_up(here, job_id, "export", export_id), reader)


def tuned_gguf(here: Context, one: Job) -> Path:
    """What answers for a succeeded job: its adapter, or, where that is DoRA, the merged model once it is made.

    Raises:
        DoraNeedsMerging: it is not made yet.
    """
    merged = here.settings.home.exports(one.id) / MERGED
    if merged.exists() and read_adapter(here.settings.home.attempt(one.id, one.epoch)).dora:
        return merged
    return adapter_gguf(here, one)


def adapter_gguf(here: Context, one: Job) -> Path:
    """The adapter of a succeeded job as GGUF, made at the first call."""
    path = here.settings.home.exports(one.id) / "adapter.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        adapter = here.settings.home.attempt(one.id, one.epoch)
        export_adapter(adapter, here.base(base_name_of(adapter)), path)
    return path


def base_name_of_job(here: Context, one: Job) -> str:
    """The base of a succeeded job, as its adapter names it."""
    return base_name_of(here.settings.home.attempt(one.id, one.epoch))


def succeeded(here: Context, job_id: str) -> Job:
    """The training job with this id.

    Raises:
        JobConflict: it has not succeeded.
    """
    one = job_of(here, job_id)
    if one.state != "succeeded":
        raise JobConflict(one.name, one.state)
    return one


def _body(here: Context, one: Job, reader: Language) -> ExportBody:
    with here.database.reading() as connection:
        last = events.last_of_job(connection, one.id, "progress")
    return ExportBody(
        id=one.id,
        training_job_id=one.spec["training_job_id"],
        state=one.state,
        desired=one.desired,
        done=last.get("done", 0),
        total=last.get("total"),
        error=problem_of(one.error, reader),
        report=one.result["report"] if one.result else None,
    )


def _make_zip(directory: Path, path: Path) -> None:
    """Stored, not deflated: weights do not get smaller."""
    if path.exists():
        return
    files = sorted(file for file in directory.iterdir() if file.is_file())
    with (
        replacing(path, sum(file.stat().st_size for file in files)) as target,
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive,
    ):
        for file in files:
            archive.write(file, file.name)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
