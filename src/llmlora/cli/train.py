"""`llmlora train`: begin a run, or continue one."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import click

from llmlora.cli.options import given_values, option_help, recipe_options
from llmlora.confine import limit_allocation
from llmlora.errors import InvalidRecipe
from llmlora.paths import Run
from llmlora.recipe import make_recipe, preset_names, read_preset, read_recipe
from llmlora.settings import Settings, read_settings
from llmlora.text.catalogue import say

INTERRUPTED = 130


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help=option_help("out"))
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help=option_help("recipe_file"))
@click.option("--resume", type=click.Path(path_type=Path), help=option_help("resume"))
@click.option("--plan", "plan_only", is_flag=True, help=option_help("plan"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
@recipe_options
def command(
    out: Path | None, recipe_file: Path | None, resume: Path | None, plan_only: bool, as_json: bool, **options: Any
) -> int:
    """Fine-tune a base model with LoRA."""
    settings = read_settings()
    if settings.memory_limit_mb is not None:
        limit_allocation(settings.memory_limit_mb * 2**20)
    values = given_values(options)
    if plan_only:
        if resume or out:
            raise InvalidRecipe([say(settings.language, "cli.train.plan_starts_nothing")])
        return _plan({**(_written(recipe_file) if recipe_file else {}), **values}, settings, as_json)
    if resume is not None:
        if values or recipe_file or out:
            raise InvalidRecipe([say("en", "cli.train.resume_alone")])
        outcome = _resume(resume, settings)
        directory = resume
    else:
        if out is None:
            raise InvalidRecipe(["--out: name a new directory for what this run writes"])
        values = {**(_written(recipe_file) if recipe_file else {}), **values}
        outcome = _start(values, out, settings)
        directory = out
    return _report(outcome, directory, settings, as_json)


def _written(recipe: Path) -> dict[str, Any]:
    """The values of a preset by its name, or of a file."""
    name = str(recipe)
    return read_preset(name) if name in preset_names() else read_recipe(recipe)


def _plan(values: dict[str, Any], settings: Settings, as_json: bool) -> int:
    """Say what a run would take, and how it would be done."""
    recipe = make_recipe(values)
    from rich.console import Console

    from llmlora.cli.view import show_plan
    from llmlora.train.prepare import draft

    with patience("preparing", settings):
        made = draft(recipe, settings.home, settings.ollama_stores)
        plan = made.plan()
    if as_json:
        reasons = [reason.said(settings.language) for reason in plan.reasons]
        document = {"recipe": made.recipe.model_dump(mode="json"), "plan": {**plan.to_json(), "reasons": reasons}}
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        show_plan(made, plan, settings.language, Console())
    return 0


def _start(values: dict[str, Any], out: Path, settings: Settings) -> Any:
    recipe = make_recipe(values)
    from llmlora.model.prompts import compare_prompts
    from llmlora.train.prepare import prepare
    from llmlora.train.run import need_empty, start

    need_empty(out)
    with patience("preparing", settings):
        prepared = prepare(recipe, settings.home, settings.ollama_stores, ollama=settings.ollama_address)
        where = (settings.ollama_stores, settings.ollama_address)
        told = compare_prompts(prepared.template, prepared.tokenizer, prepared.base, *where)
    if told:
        click.echo(told.words().said(settings.language), err=True)
    return watch(prepared, out, settings, start)


def _resume(out: Path, settings: Settings) -> Any:
    from llmlora.train.run import attempt, finished_outcome, prepare_again

    with patience("preparing", settings):
        finished = finished_outcome(out)
        if finished:
            return finished
        prepared = prepare_again(out, settings.home, settings.ollama_stores, ollama=settings.ollama_address)
    return watch(prepared, out, settings, attempt)


def watch(prepared: Any, out: Path, settings: Settings, go: Any) -> Any:
    """Show the plan, then run `go` (start or attempt) with a live view; Ctrl-C stops it after the step at hand."""
    from rich.console import Console

    from llmlora.cli.view import TrainingView, show_plan

    show_plan(prepared, prepared.plan, settings.language, Console(stderr=True))
    with TrainingView(settings.language) as view, _stop_on_signal() as stop:
        return go(prepared, out, view, stop)


@contextmanager
def _stop_on_signal() -> Iterator[Any]:
    """Ctrl-C or a termination asks the loop to stop after its step; a second Ctrl-C stops at once."""
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def patience(key: str, settings: Settings) -> Iterator[None]:
    """A spinner on a terminal while something takes a few seconds."""
    from rich.console import Console

    with Console(stderr=True).status(say(settings.language, f"cli.train.{key}")):
        yield


def _report(outcome: Any, out: Path, settings: Settings, as_json: bool) -> int:
    interrupted = outcome.status == "interrupted"
    if as_json:
        document = {**asdict(outcome), "out": str(out), "events": str(Run(out).events)}
        click.echo(json.dumps(document, default=str, ensure_ascii=False))
    else:
        key = {"interrupted": "interrupted", "finished": "finished"}.get(outcome.status, "already_finished")
        loss = "-" if outcome.loss is None else f"{outcome.loss:.4f}"
        click.echo(say(settings.language, f"cli.train.{key}", step=outcome.step, loss=loss, out=out))
    return INTERRUPTED if interrupted else 0
