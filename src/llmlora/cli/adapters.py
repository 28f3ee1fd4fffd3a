"""`llmlora adapters import`: adapters that were trained elsewhere."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmlora.cli.options import option_help
from llmlora.settings import Settings, read_language, read_settings
from llmlora.text.catalogue import say

if TYPE_CHECKING:
    from llmlora.importing import Imported

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group()
def command() -> None:
    """Adapters that were trained elsewhere."""


@command.command("import", help=say(read_language(), "cli.adapters.import_help"))
@click.argument("source", metavar="PATH", type=click.Path(path_type=Path, exists=True))
@click.option("--model", help=option_help("import_model"))
@click.option("--name", help=option_help("import_name"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def import_command(source: Path, model: str | None, name: str | None, as_json: bool) -> None:
    """Take over a PEFT adapter."""
    from llmlora.importing import import_adapter

    if name is not None and not NAME.fullmatch(name):
        raise click.BadParameter(name, param_hint="--name")
    settings = read_settings()
    done = import_adapter(source, model, name, settings.home, settings.ollama_stores)
    if as_json:
        click.echo(json.dumps(done.to_json(), ensure_ascii=False))
    else:
        _show(done, settings)


def _show(done: "Imported", settings: Settings) -> None:
    def words(key: str, **facts: object) -> str:
        return say(settings.language, f"cli.adapters.{key}", **facts)

    kind = ("rsLoRA " if done.rslora else "") + ("DoRA" if done.dora else "LoRA")
    rows = {"source": str(done.path), "base": done.base}
    if done.said_base not in (None, done.base):
        rows["said_base"] = words("said_base_value", name=ascii(done.said_base)[1:-1])
    rows["kind"] = words("kind_value", kind=kind, rank=done.rank, alpha=f"{done.alpha:g}", layers=done.layers)
    if done.dropped:
        rows["dropped"] = ", ".join(ascii(key)[1:-1] for key in done.dropped)
    for key, value in rows.items():
        click.echo(f"{words(key)}: {value}")
    click.echo(words("next", path=done.path))
