"""A run as people watch it: the plan before, a bar or plain lines during, a summary after."""

import sys
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from llmlora.plan import Plan
from llmlora.recipe import ALL_LINEAR
from llmlora.text.catalogue import Language, say
from llmlora.train.events import Evaluated, Event, Finished, Sampled, Saved, Started, Step, Warned
from llmlora.train.prepare import Draft, Prepared

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 24
MB = 2**20


def duration(seconds: float) -> str:
    """`75` → `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def sparkline(values: list[float], width: int = SPARK_WIDTH) -> str:
    """The course of some values as a line of blocks, each the mean of its share of them."""
    if not values:
        return ""
    width = min(width, len(values))
    cuts = [len(values) * i // width for i in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(cuts)]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)


def show_plan(prepared: Prepared | Draft, plan: Plan, language: Language, console: Console) -> None:
    """What is about to happen: model, rows, steps, memory, time, and why it is done so."""
    recipe = prepared.recipe
    share = prepared.trainable_parameters / prepared.total_parameters
    rows = {
        "model": prepared.base.name,
        "template": say(language, f"cli.train.template_{prepared.template.origin}", name=prepared.template.name),
        "rows": say(language, "cli.train.row_counts", train=len(prepared.train), held_out=len(prepared.held_out)),
        "steps": f"{plan.total_steps} × {recipe.batch_size * recipe.gradient_accumulation}",
        "learning_rate": f"{recipe.learning_rate:g}",
        "targets": ", ".join(prepared.targets if recipe.target_modules == (ALL_LINEAR,) else recipe.target_modules),
        "parameters": f"{prepared.trainable_parameters:,} / {prepared.total_parameters:,} ({share:.2%})",
        "memory": f"{plan.memory / MB:,.0f} MB",
        "time": duration(plan.seconds),
        "way": "\n".join(reason.said(language) for reason in plan.reasons),
    }
    if recipe.init_adapter:
        facts = {"path": recipe.init_adapter, "rank": recipe.rank, "alpha": f"{recipe.alpha:g}"}
        rows["start"] = say(language, "cli.train.start_value", **facts)
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(say(language, f"cli.train.{name}"), style="dim"), Text(value, overflow="fold"))
    console.print(table)


class TrainingView:
    """Shows events on standard error: a live bar on a terminal, a line an event elsewhere."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.live = sys.stderr.isatty()
        self.losses: list[float] = []
        self.progress = _bar() if self.live else None
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        if self.progress:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress:
            self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Step):
            self._step(event)
        elif isinstance(event, Started):
            self.total = event.total_steps
            if self.progress:
                self.task = self.progress.add_task(
                    "", total=event.total_steps, completed=event.step, loss="", speed="", eta="", spark=""
                )
            if event.resumed_from is not None:
                self._line("resumed", step=event.resumed_from)
        elif isinstance(event, Evaluated):
            self._line("evaluated", step=event.step, loss=event.loss)
        elif isinstance(event, Sampled):
            self._line("sampled", step=event.step, prompt=event.prompt, answer=event.answer)
        elif isinstance(event, Warned):
            self._line(event.code, step=event.step, detail=event.detail)
        elif isinstance(event, Saved | Finished) and not self.live:
            self._line(event.event, step=event.step, path=event.path)

    def _step(self, event: Step) -> None:
        self.losses.append(event.loss)
        facts: dict[str, Any] = {
            "loss": f"{event.loss:.4f}",
            "speed": f"{event.tokens_per_second:,.0f}",
            "eta": duration(event.eta_seconds),
        }
        if self.progress and self.task is not None:
            self.progress.update(self.task, completed=event.step, spark=sparkline(self.losses), **facts)
        else:
            self._line("step", step=event.step, total=self.total, **facts)

    def _line(self, key: str, **facts: Any) -> None:
        line = say(self.language, f"events.{key}", **facts)
        if self.progress:
            self.progress.console.print(Text(line, style="dim"))
        else:
            click.echo(line, err=True)


def _bar() -> Progress:
    columns: list[ProgressColumn] = [
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("loss [bold]{task.fields[loss]}[/] [cyan]{task.fields[spark]}[/]"),
        TextColumn("[dim]{task.fields[speed]} tok/s[/]"),
        TextColumn("ETA {task.fields[eta]}"),
    ]
    return Progress(*columns, console=Console(stderr=True), transient=False)
