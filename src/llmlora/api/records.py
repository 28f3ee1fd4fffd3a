"""What a job has told so far: its curves, its answers, its checkpoints and its log."""

import json
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Query
from pydantic import BaseModel

from llmlora.api.context import Context, Here
from llmlora.api.jobs import OF_THE_DATA, job_of, only
from llmlora.api.labels import Id
from llmlora.api.rows import Limit, Offset, TokensPage
from llmlora.errors import NotFound
from llmlora.paths import Run
from llmlora.recipe import Recipe, make_recipe, read_recipe
from llmlora.store import events
from llmlora.store.jobs import Job

router = APIRouter(prefix="/api/training/jobs/{job_id}", tags=["training"])

LOG_BYTES = 256 * 1024


class MetricPoint(BaseModel):
    """A step. `tokens` and `seconds` are those of all steps so far, over all attempts."""

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens_per_second: float
    memory: int
    seconds: float
    tokens: int
    epoch: float


class EvalPoint(BaseModel):
    step: int
    loss: float
    best: bool


class Metrics(BaseModel):
    """The curves. With more steps than `points`, each stretch keeps its lowest and its highest loss.

    `seq` is the event to go on from in the live stream, `earlier_seconds` what its steps have to add to their seconds.
    """

    seq: int
    total: int
    earlier_seconds: float
    steps: list[MetricPoint]
    evaluations: list[EvalPoint]


class Sample(BaseModel):
    step: int
    prompt: str
    answer: str


class Checkpoint(BaseModel):
    step: int
    bytes: int
    best: bool


class RecipeOfJob(BaseModel):
    """The recipe without its data. Once the job has begun it is `resolved`: no value is left to a rule."""

    resolved: bool
    recipe: dict[str, Any]
    yaml: str


class Log(BaseModel):
    """The end of what the job's process printed."""

    text: str
    truncated: bool


@router.get("/metrics")
def get_metrics(
    here: Here,
    job_id: Id,
    points: Annotated[int, Query(ge=10, le=20_000)] = 1000,
    first: Annotated[int, Query(ge=0, le=2**62)] = 0,
    last: Annotated[int, Query(ge=0, le=2**62)] = 2**62,
) -> Metrics:
    """The curves, from the first step on or of a stretch: `points` are spent on what is asked for."""
    job_of(here, job_id)
    with here.database.reading() as connection:
        seq = events.newest(connection)  # first: what happens from now on is told by the stream
        steps, evaluations = (events.of_job(connection, job_id, kind) for kind in ("step", "evaluated"))
    earlier = add_up(steps)
    return Metrics(
        seq=seq,
        total=len(steps),
        earlier_seconds=earlier,
        steps=[
            MetricPoint(**only(MetricPoint, step))
            for step in thin([step for step in steps if first <= step["step"] <= last], points)
        ],
        evaluations=[EvalPoint(**only(EvalPoint, one)) for one in evaluations],
    )


@router.get("/samples")
def list_samples(here: Here, job_id: Id) -> list[Sample]:
    """The answers to the recipe's sample prompts, over time."""
    job_of(here, job_id)
    with here.database.reading() as connection:
        found = events.of_job(connection, job_id, "sampled")
    return [Sample(**only(Sample, sample)) for sample in found]


@router.get("/checkpoints")
def list_checkpoints(here: Here, job_id: Id) -> list[Checkpoint]:
    """What is kept on the disk; the directory is the truth."""
    one = job_of(here, job_id)
    found = []
    for path in _out(here, one).checkpoints.glob("checkpoint-*/MANIFEST.json"):
        manifest = json.loads(path.read_text("utf-8"))
        size = sum(entry["size"] for entry in manifest["files"].values())
        progress = manifest["progress"]
        found.append(Checkpoint(step=progress["step"], bytes=size, best=progress["best_step"] == progress["step"]))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


@router.get("/recipe")
def get_job_recipe(here: Here, job_id: Id) -> RecipeOfJob:
    """What the job was asked to do, and what its rules gave once it had begun."""
    one = job_of(here, job_id)
    path = _out(here, one).recipe
    resolved = path.is_file()
    recipe = make_recipe(read_recipe(path) if resolved else one.spec["recipe"])
    values = recipe.model_dump(mode="json", exclude=set(OF_THE_DATA))
    return RecipeOfJob(
        resolved=resolved, recipe=values, yaml=yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    )


@router.get("/tokens")
def list_job_tokens(here: Here, job_id: Id, offset: Offset = 0, limit: Limit = 5) -> TokensPage:
    """The exact tokens of some rows as this job reads them: its version of the data, its model, its length."""
    one = job_of(here, job_id)
    recipe = make_recipe(one.spec["recipe"])
    (data,) = recipe.data
    if not Path(data).is_file():
        raise NotFound("dataset", one.dataset_id or "")
    place = {"row": None, "offset": offset, "limit": limit}
    facts = {"model": recipe.model, "max_length": recipe.max_length, "template": _template(here, one, recipe)}
    return TokensPage(**here.inspection.ask("tokens", data=data, mapping=recipe.mapping, **place, **facts))


def _template(here: Context, one: Job, recipe: Recipe) -> Any:
    """The one that a run began with, which may have followed a store that has changed since; or the recipe's."""
    plan = _out(here, one).plan
    return (json.loads(plan.read_text("utf-8")).get("template") if plan.exists() else None) or recipe.template


@router.get("/log")
def get_log(here: Here, job_id: Id) -> Log:
    """The end of what the job's process printed."""
    path = _out(here, job_of(here, job_id)).log
    if not path.exists():
        return Log(text="", truncated=False)
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(max(0, size - LOG_BYTES))
        return Log(text=file.read().decode("utf-8", "replace"), truncated=size > LOG_BYTES)


def add_up(steps: list[dict[str, Any]]) -> float:
    """Make `tokens` those of all steps so far, and `seconds` go on where an attempt begins its clock anew.

    Returns the seconds of the attempts before the last one.
    """
    tokens, earlier, last = 0, 0.0, 0.0
    for step in steps:
        tokens += step["tokens"]
        if step["seconds"] < last:
            earlier += last
        last = step["seconds"]
        step["tokens"], step["seconds"] = tokens, earlier + last
    return earlier


def thin(steps: list[dict[str, Any]], points: int) -> list[dict[str, Any]]:
    """At most `points` of the steps: of each stretch the lowest and the highest loss, and the very last step."""
    if len(steps) <= points:
        return steps
    stretches = max(1, points // 2 - 1)
    kept: set[int] = {0, len(steps) - 1}
    for number in range(stretches):
        places = range(len(steps) * number // stretches, len(steps) * (number + 1) // stretches)
        kept |= {min(places, key=lambda at: steps[at]["loss"]), max(places, key=lambda at: steps[at]["loss"])}
    return [steps[at] for at in sorted(kept)]


def _out(here: Context, one: Job) -> Run:
    return Run(here.settings.home.attempt(one.id, one.epoch))
