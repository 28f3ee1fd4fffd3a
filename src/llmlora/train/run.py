"""A run from outside: start it, continue it, and leave the artefact behind."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors.torch import load_file

from llmlora.errors import NothingToResume, OutputNotEmpty
from llmlora.failure import LlmloraError
from llmlora.files import PART, write_text
from llmlora.model.lora import load_adapter_state
from llmlora.paths import Home, Run
from llmlora.recipe import Recipe, make_recipe, read_recipe
from llmlora.train.artefact import write_artefact
from llmlora.train.checkpoint import Checkpoints
from llmlora.train.commit import sweep, verified_manifest
from llmlora.train.events import Failed, Finished, Warned
from llmlora.train.loop import Loop
from llmlora.train.prepare import Frozen, Prepared, library_versions, prepare
from llmlora.train.record import OnEvent, Record, rewind


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    status: Literal["finished", "interrupted", "already finished"]
    step: int
    loss: float | None
    eval_loss: float | None
    final_model: Path | None


def ignore(_: object) -> None:
    """The `on_event` of someone who does not listen."""


def never() -> bool:
    """The `should_stop` of a run that nobody interrupts."""
    return False


def train(
    recipe: Recipe,
    out: Path,
    home: Home,
    stores: Sequence[Path] = (),
    on_event: OnEvent = ignore,
    should_stop: Callable[[], bool] = never,
) -> Outcome:
    """Fine-tune `recipe` into the empty directory `out`.

    `on_event` receives every event; `should_stop` is asked after each step, and a yes saves and returns.

    Raises:
        UserError: the user's mistake; nothing has been written.
        LlmloraError: a failure on the way; checkpoints are intact.
    """
    need_empty(out)
    return start(prepare(recipe, home, stores), out, on_event, should_stop)


def resume(
    out: Path,
    home: Home,
    stores: Sequence[Path] = (),
    on_event: OnEvent = ignore,
    should_stop: Callable[[], bool] = never,
) -> Outcome:
    """Continue the run in `out` from its newest intact checkpoint, or report that it is finished.

    Raises:
        NothingToResume: `out` holds no run.
        RunChanged: base or rows are not those it began with.
    """
    finished = finished_outcome(out)
    return finished or attempt(prepare_again(out, home, stores), out, on_event, should_stop)


def need_empty(out: Path) -> None:
    """Raises OutputNotEmpty when `out` exists and is not an empty directory; half-written files do not count."""
    if out.exists() and (not out.is_dir() or any(path.suffix != PART for path in out.iterdir())):
        raise OutputNotEmpty(out)


def start(
    prepared: Prepared, out: Path, on_event: OnEvent = ignore, should_stop: Callable[[], bool] = never
) -> Outcome:
    """Begin a prepared run in an empty directory."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(Run(out).recipe, prepared.recipe.to_yaml())
    write_text(Run(out).plan, json.dumps(prepared.frozen.to_json(), indent=1))
    return attempt(prepared, out, on_event, should_stop)


def prepare_again(
    out: Path, home: Home, stores: Sequence[Path] = (), *, fetch: bool = True, ollama: str | None = None
) -> Prepared:
    """Get ready to continue the run in `out`, with its recipe and its frozen choices. The rest as in `prepare`."""
    run = Run(out)
    if not run.recipe.is_file():
        raise NothingToResume(out)
    recipe = make_recipe(read_recipe(run.recipe))
    if not run.plan.is_file():  # killed before the plan was written: nothing has been computed yet
        prepared = prepare(recipe, home, stores, fetch=fetch, ollama=ollama)
        write_text(run.plan, json.dumps(prepared.frozen.to_json(), indent=1))
        return prepared
    frozen = Frozen.from_json(json.loads(run.plan.read_text("utf-8")))
    return prepare(recipe, home, stores, frozen, fetch=fetch, ollama=ollama)


def finished_outcome(out: Path) -> Outcome | None:
    """The outcome of a run whose artefact is complete."""
    if not Run(out).recipe.is_file():
        raise NothingToResume(out)
    manifest = verified_manifest(Run(out).final_model)
    if manifest is None:
        return None
    metrics = manifest["metrics"]
    return Outcome("already finished", metrics["step"], metrics["loss"], metrics["eval_loss"], Run(out).final_model)


def attempt(prepared: Prepared, out: Path, on_event: OnEvent, should_stop: Callable[[], bool]) -> Outcome:
    """One attempt at the run in `out`: from its newest checkpoint as far as it gets."""
    run = Run(out)
    sweep(out)
    checkpoints = Checkpoints(run.checkpoints)
    newest, broken = checkpoints.newest()
    step = newest.progress.step if newest else 0
    rewind(run.events, step if newest else -1)
    record = Record(run.events, on_event)
    for detail in _changed_versions(prepared) if newest else ():
        record(Warned(step=step, seconds=0, code="versions_changed", detail=detail))
    if prepared.unloaded:
        record(Warned(step=step, seconds=0, code="ollama_unloaded", detail=", ".join(prepared.unloaded)))
    for path in broken:
        record(Warned(step=step, seconds=0, code="checkpoint_damaged", detail=path.name))
    if prepared.skipped_rows and newest is None:
        record(Warned(step=step, seconds=0, code="rows_skipped", detail=str(prepared.skipped_rows)))
    loop = Loop(prepared, checkpoints, newest, record, should_stop)
    try:
        if not loop.run():
            return Outcome("interrupted", loop.progress.step, loop.progress.loss, loop.progress.eval_loss, None)
        return _finish(loop, prepared, run, record)
    except LlmloraError as error:
        record_failure(record, loop, error)
        raise


def _changed_versions(prepared: Prepared) -> list[str]:
    now = library_versions()
    return [f"{name} {old} → {now[name]}" for name, old in prepared.frozen.versions.items() if now[name] != old]


def record_failure(record: Record, loop: Loop, error: LlmloraError) -> None:
    """Put the failure into the record if the record can still be written."""
    try:
        failed = Failed(step=loop.progress.step, seconds=loop.clock.seconds(), code=error.code, message=str(error))
        record(failed)
    except LlmloraError:
        pass  # the disk is full: the error itself says so


def _finish(loop: Loop, prepared: Prepared, run: Run, record: Record) -> Outcome:
    progress, early = loop.progress, loop.stopped_early()
    if early:
        best = run.checkpoints / f"checkpoint-{progress.best_step}" / "adapter_model.safetensors"
        load_adapter_state(prepared.model, load_file(best))
        progress = loop.best()
    write_artefact(run.final_model, prepared, progress)
    record(
        Finished(
            step=loop.progress.step,
            seconds=loop.clock.seconds(),
            reason="early_stopping" if early else "done",
            loss=progress.loss,
            eval_loss=progress.eval_loss,
            path=str(run.final_model),
        )
    )
    return Outcome("finished", progress.step, progress.loss, progress.eval_loss, run.final_model)
