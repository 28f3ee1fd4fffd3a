"""`llmlora demo`: five rows, a minute of training, and a model that talks differently."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmlora.cli.options import option_help
from llmlora.settings import Settings, read_settings
from llmlora.text.catalogue import say

if TYPE_CHECKING:
    from rich.console import Console

    from llmlora.demo.run import Answers

SHOWN = 5
SHOWN_CHARACTERS = 60
SEED = 0


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help=option_help("keep"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def command(out: Path | None, as_json: bool) -> int:
    """Teach a model a style with five rows."""
    settings = read_settings()
    with tempfile.TemporaryDirectory(prefix="llmlora-demo-") as temporary:
        return _demo(out or Path(temporary) / "out", settings, as_json)


def _demo(out: Path, settings: Settings, as_json: bool) -> int:
    from rich.console import Console

    from llmlora.cli.train import patience, watch
    from llmlora.demo.run import ask, demo_recipe, forgetting
    from llmlora.demo.style import material
    from llmlora.export.adapter import export_adapter
    from llmlora.train.prepare import prepare
    from llmlora.train.run import need_empty, start

    console = Console(stderr=as_json)
    need_empty(out)
    _show_rows(console, settings)
    with patience("preparing", settings):
        prepared = prepare(demo_recipe(), settings.home, settings.ollama_stores, ollama=settings.ollama_address)
    outcome = watch(prepared, out, settings, start)
    if outcome.status == "interrupted":
        return 130
    adapter = out / "adapter.gguf"
    export_adapter(out, prepared.base, adapter)
    answers: list[Answers] = []
    with console.status(say(settings.language, "cli.demo.asking")):
        ask(prepared.base.path, adapter, material().test_prompts[:SHOWN], SEED, answers.append)
        lost = forgetting(prepared)
    hits = sum(answer.in_style for answer in answers)
    _show_answers(console, answers, hits, settings)
    console.print(say(settings.language, "cli.demo.forgetting", **asdict(lost)), highlight=False)
    if as_json:
        document: dict[str, Any] = {"score": hits, "of": SHOWN, "answers": [asdict(one) for one in answers]}
        click.echo(json.dumps({**document, "forgetting": asdict(lost), "loss": outcome.loss}, ensure_ascii=False))
    return 0


def _show_rows(console: "Console", settings: Settings) -> None:
    from rich.table import Table

    from llmlora.data.read import read_conversations
    from llmlora.demo.style import material

    table = Table(title=say(settings.language, "cli.demo.rows"), title_justify="left")
    table.add_column(say(settings.language, "cli.demo.prompt"), overflow="fold")
    table.add_column(say(settings.language, "cli.demo.answer"), overflow="fold")
    for conversation in read_conversations(material().rows).conversations:
        table.add_row(*(turn.content for turn in conversation.turns))
    console.print(table)


def _show_answers(console: "Console", answers: "list[Answers]", hits: int, settings: Settings) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=say(settings.language, "cli.demo.answers"), title_justify="left", show_lines=True)
    for column in ("prompt", "before", "after"):
        table.add_column(say(settings.language, f"cli.demo.{column}"), overflow="fold", ratio=1)
    table.add_column()
    for one in answers:
        mark = Text("✓", style="green") if one.in_style else Text("✗", style="red")
        table.add_row(Text(one.prompt), Text(_short(one.base), style="dim"), Text(one.tuned), mark)
    console.print(table)
    console.print(Text(say(settings.language, "cli.demo.score", hits=hits, of=len(answers)), style="bold"))


def _short(answer: str) -> str:
    """A base model without chat training goes on and on; the table shows how it begins."""
    line = " ".join(answer.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "…"
