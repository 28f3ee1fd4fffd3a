"""Training jobs: planned, started, watched and steered."""

import shlex
import shutil
from copy import copy
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from llmlora.api.context import Context, Here, Reader
from llmlora.api.datasets import path_of
from llmlora.api.errors import Problem, problem
from llmlora.api.labels import Id, Label, file_name
from llmlora.errors import NotFound
from llmlora.failure import revive
from llmlora.model.describe import describe
from llmlora.recipe import Recipe, RecipeValues, make_recipe
from llmlora.store import datasets, events, jobs
from llmlora.store.datasets import Dataset
from llmlora.store.jobs import Desired, Job, Kind, State
from llmlora.text.catalogue import Language, Words, say

router = APIRouter(prefix="/api/training", tags=["training"])

OF_THE_DATA = ("data", "mapping")


def _described(name: str, field: FieldInfo) -> FieldInfo:
    described = copy(field)
    described.description = say("en", f"recipe.{name}")
    return described


# The recipe without what the data set says itself.
RecipeBody: Any = create_model(
    "RecipeBody",
    __base__=RecipeValues,
    **{  # type: ignore[call-overload]
        name: (field.annotation, _described(name, field))
        for name, field in Recipe.model_fields.items()
        if name not in OF_THE_DATA
    },
)


class JobRequest(BaseModel):
    """What to train on what, and how."""

    model_config = ConfigDict(extra="forbid")

    name: Label
    dataset_id: Annotated[str, Field(pattern="^[a-z0-9]{1,32}$")]
    recipe: RecipeBody


class PlanRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dataset_id: Annotated[str, Field(pattern="^[a-z0-9]{1,32}$")]
    recipe: RecipeBody


class PlanFacts(BaseModel):
    """Times in seconds, memory in bytes."""

    dtype: str
    threads: int
    pass_tokens: int
    recompute: bool
    unpacked: bool
    total_steps: int
    eval_every: int
    save_every: int
    memory: int
    seconds: float


class PromptsBody(BaseModel):
    """Training's prompts held against Ollama's, in a sentence. Where they differ: `diff`, of the first conversation
    that does, and the `way` to mend it; with `can_follow` that is `template: ollama`.
    """

    verdict: Literal["same", "different", "unknown"]
    text: str
    diff: str
    way: str
    can_follow: bool


class PlanBody(BaseModel):
    """What a run will need, before it is started. `recipe` has every rule resolved, and so has `yaml`, the file of it.

    `command` makes the same run; both take the rows from a file of the data set's name. `reasons` and `warnings` are
    sentences, the former for what the plan has chosen; `prompts` is there for models of Ollama's.
    """

    recipe: dict[str, Any]
    plan: PlanFacts
    rows: int
    eval_rows: int
    skipped_rows: int
    trainable_parameters: int
    file_bytes: int
    free_memory: int
    reasons: list[str]
    warnings: list[str]
    prompts: PromptsBody | None
    yaml: str
    command: str


class Result(BaseModel):
    step: int
    loss: float | None
    eval_loss: float | None


class Progress(BaseModel):
    """Where a job stands. `seq` is the event to go on from in the live stream."""

    id: str
    state: State
    desired: Desired
    position: int | None
    step: int
    total_steps: int | None
    checkpoint_step: int
    loss: float | None
    eval_loss: float | None
    tokens_per_second: float | None
    eta_seconds: float | None
    memory: int | None
    error: Problem | None
    seq: int


class JobBody(BaseModel):
    id: str
    name: str
    dataset_id: str | None
    recipe: dict[str, Any]
    attempt: int
    epoch: int
    result: Result | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    progress: Progress


@router.post("/plan")
def plan_job(here: Here, reader: Reader, asked: PlanRequest) -> PlanBody:
    """Steps, memory and time of a run, worked out from the recipe, the data and this machine."""
    dataset = _dataset(here, asked.dataset_id)
    recipe = _recipe_of(here, asked.recipe, dataset)
    limit = here.settings.memory_limit_mb
    told = here.inspection.ask("plan", recipe=recipe.model_dump(mode="json"), memory_limit_mb=limit)
    rows = {"data": file_name(dataset.name, f".{dataset.report['format']}"), "mapping": dataset.mapping}
    reasons = [Words.revive(one).said(reader) for one in told["plan"].pop("reasons")]
    words, prompts = [Words.revive(one) for one in told.pop("warnings")], told.pop("prompts")
    said = {key: Words.revive(prompts[key]).said(reader) for key in ("text", "way")} if prompts else {}
    return PlanBody(
        **told,
        reasons=reasons,
        warnings=[one.said(reader) for one in words],
        prompts=PromptsBody(**{**prompts, **said}) if prompts else None,
        yaml=make_recipe({**told["recipe"], **rows}).to_yaml(),
        command=_command(make_recipe({**recipe.model_dump(exclude_unset=True), **rows})),
    )


@router.post("/jobs", status_code=201)
def create_job(
    here: Here,
    reader: Reader,
    asked: JobRequest,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200, pattern="^[!-~]+$")] = None,
) -> JobBody:
    """Put a training job into the queue. The same Idempotency-Key again gives the same job."""
    dataset = _dataset(here, asked.dataset_id)
    recipe = _recipe_of(here, asked.recipe, dataset)
    base = here.base(recipe.model)
    if obstacle := describe(base).obstacle:
        raise obstacle
    spec = {"recipe": recipe.model_copy(update={"model": base.name}).model_dump(mode="json")}
    request = jobs.Request("train", asked.name, spec, dataset.id)
    return _body(here, jobs.submit(here.database, request, idempotency_key), reader)


@router.get("/jobs")
def list_jobs(here: Here, reader: Reader, state: Annotated[list[State] | None, Query()] = None) -> list[JobBody]:
    """Training jobs, newest first."""
    with here.database.reading() as connection:
        found = jobs.listed(connection, "train", state or ())
    return [_body(here, one, reader) for one in found]


@router.get("/jobs/{job_id}")
def get_job(here: Here, reader: Reader, job_id: Id) -> JobBody:
    """A job, with the recipe it was started with."""
    return _body(here, job_of(here, job_id), reader)


@router.get("/jobs/{job_id}/progress")
def get_progress(here: Here, reader: Reader, job_id: Id) -> Progress:
    """Where a job stands."""
    return _progress(here, job_of(here, job_id), reader)


@router.post("/jobs/{job_id}/cancel")
def cancel_job(here: Here, reader: Reader, job_id: Id) -> JobBody:
    """End a job. One that has just succeeded stays succeeded."""
    return _steer(here, reader, job_id, "cancel")


@router.post("/jobs/{job_id}/pause")
def pause_job(here: Here, reader: Reader, job_id: Id) -> JobBody:
    """Finish the step at hand, save, and wait until someone resumes."""
    return _steer(here, reader, job_id, "pause")


@router.post("/jobs/{job_id}/resume")
def resume_job(here: Here, reader: Reader, job_id: Id) -> JobBody:
    """Go on from the last checkpoint."""
    return _steer(here, reader, job_id, "run")


@router.post("/jobs/{job_id}/retry")
def retry_job(here: Here, reader: Reader, job_id: Id) -> JobBody:
    """Try a failed or cancelled job again, from its last checkpoint."""
    return _steer(here, reader, job_id, "run")


@router.delete("/jobs/{job_id}", status_code=204)
def delete_job(here: Here, job_id: Id) -> Response:
    """Delete a job that is not running, with everything it has made."""
    job_of(here, job_id)
    with here.database.writing() as connection:
        jobs.remove(connection, job_id)
    shutil.rmtree(here.settings.home.job(job_id), ignore_errors=True)
    return Response(status_code=204)


def job_of(here: Context, job_id: str, kind: Kind = "train") -> Job:
    """The job with this id.

    Raises:
        NotFound: there is none of this kind.
    """
    with here.database.reading() as connection:
        one = jobs.fetch(connection, job_id)
    if one is None or one.kind != kind:
        raise NotFound("job", job_id)
    return one


def follow_ups(here: Context, job_id: str, kind: Kind) -> list[Job]:
    """The jobs of this kind that work on what a training job has made, newest first."""
    with here.database.reading() as connection:
        return [one for one in jobs.listed(connection, kind) if one.spec["training_job_id"] == job_id]


def cancel_follow_up(here: Context, job_id: str, kind: Kind, own_id: str) -> Job:
    """End one of them.

    Raises:
        NotFound: it is none of this training job's.
    """
    if job_of(here, own_id, kind).spec["training_job_id"] != job_id:
        raise NotFound("job", own_id)
    with here.database.writing() as connection:
        changed = jobs.want(connection, own_id, "cancel")
    if changed is None:  # deleted meanwhile
        raise NotFound("job", own_id)
    return changed


def problem_of(error: dict[str, Any] | None, reader: Language) -> Problem | None:
    """A kept error in the reader's language."""
    if error is None:
        return None
    return problem(revive(error), reader)


def _steer(here: Context, reader: Language, job_id: str, desired: Desired) -> JobBody:
    job_of(here, job_id)
    with here.database.writing() as connection:
        changed = jobs.want(connection, job_id, desired)
    if changed is None:
        raise NotFound("job", job_id)
    return _body(here, changed, reader)


def _dataset(here: Context, dataset_id: str) -> Dataset:
    with here.database.reading() as connection:
        one = datasets.fetch(connection, dataset_id)
    if one is None:
        raise NotFound("dataset", dataset_id)
    return one


def _recipe_of(here: Context, body: Any, dataset: Dataset) -> Recipe:
    rows = {"data": str(path_of(here, dataset)), "mapping": dataset.mapping}
    return make_recipe({**body.model_dump(exclude_unset=True), **rows})


def _command(recipe: Recipe) -> str:
    return shlex.join(["llmlora", "train", *recipe.to_flags(), "--out", "out"])


def _body(here: Context, one: Job, reader: Language) -> JobBody:
    recipe = {name: value for name, value in one.spec["recipe"].items() if name not in OF_THE_DATA}
    kept = ("id", "name", "dataset_id", "attempt", "epoch", "created_at", "started_at", "finished_at")
    return JobBody(
        **{name: getattr(one, name) for name in kept},
        recipe=recipe,
        result=Result(**only(Result, one.result)) if one.result else None,
        progress=_progress(here, one, reader),
    )


def _progress(here: Context, one: Job, reader: Language) -> Progress:
    with here.database.reading() as connection:
        seq = events.newest(connection)  # first: what happens from now on is told by the stream
        step, evaluated = (events.last_of_job(connection, one.id, kind) for kind in ("step", "evaluated"))
        position = jobs.position(connection, one)
    return Progress(
        id=one.id,
        state=one.state,
        desired=one.desired,
        position=position,
        step=one.step,
        total_steps=one.total_steps,
        checkpoint_step=one.checkpoint_step,
        loss=step.get("loss"),
        eval_loss=evaluated.get("loss"),
        tokens_per_second=step.get("tokens_per_second"),
        eta_seconds=step.get("eta_seconds") if one.state in jobs.ACTIVE else None,
        memory=step.get("memory"),
        error=problem_of(one.error, reader),
        seq=seq,
    )


def only(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that are fields of the model."""
    return {name: value for name, value in values.items() if name in model.model_fields}
