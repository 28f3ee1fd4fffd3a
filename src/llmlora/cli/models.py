"""`llmlora models`: which bases there are and what each of them is."""

import json
import sys

import click
from rich.console import Console
from rich.table import Table

from llmlora.data.ollama_rendering import Rendering
from llmlora.errors import StoreUnreadable
from llmlora.model.describe import Description, Tokenizer, describe, describe_all, reason_of
from llmlora.model.prompts import rendering_in_force
from llmlora.model.source import resolve
from llmlora.ollama.store import names
from llmlora.settings import Settings, read_language, read_settings
from llmlora.text.catalogue import Language, say

WIDE = 160


@click.group()
def command() -> None:
    """See `commands.models` in the catalogue."""


@command.command("list", help=say(read_language(), "models.list_help"))
@click.option("--json", "as_json", is_flag=True, help=say(read_language(), "models.json_help"))
def list_models(as_json: bool) -> None:
    settings = read_settings()
    _warn_of_unreadable_stores(settings)
    found = list(describe_all(settings.home, settings.ollama_stores))
    if as_json:
        _print_json([one.to_json() for one in found])
    else:
        _console().print(_table(found, settings.language))


@command.command("show", help=say(read_language(), "models.show_help"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help=say(read_language(), "models.json_help"))
def show_model(name: str, as_json: bool) -> None:
    settings = read_settings()
    base = resolve(name, settings.home, settings.ollama_stores, fetch=False)
    found, rendering = describe(base), rendering_in_force(base, settings.ollama_stores, settings.ollama_address)
    if as_json:
        _print_json(found.to_json() | {"rendering": rendering and rendering.to_json()})
    else:
        _console().print(_sheet(found, rendering, settings.language))


def readable_size(nbytes: int | None) -> str:
    """`98 MB`, `1.3 GB`."""
    if nbytes is None:
        return "–"
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{max(1, round(nbytes / 1e6))} MB"


def readable_count(number: int | None) -> str:
    """`135M`, `1.2B`."""
    if number is None:
        return "–"
    return f"{number / 1e9:.1f}B" if number >= 1e9 else f"{number / 1e6:.3g}M"


def readable_verdict(one: Description, language: Language) -> str:
    """`yes`, or `no, because …`."""
    if one.obstacle is None:
        return say(language, "models.yes")
    return say(language, "models.no", reason=reason_of(one.obstacle, language))


def readable_template(source: str | None, language: Language) -> str:
    """Where the chat template comes from."""
    family = (source or "").removeprefix("family: ")
    key = "none" if source is None else "model" if source == "model" else "family"
    return say(language, f"models.template_{key}", family=family)


def readable_tokenizer(one: Tokenizer | None, language: Language) -> str:
    """`gpt2 / smollm, 49,152 tokens`."""
    if one is None:
        return "–"
    return say(language, "models.tokens", model=one.model or "–", pre=one.pre or "–", count=f"{one.vocabulary:,}")


def _table(found: list[Description], language: Language) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(say(language, "models.name"), no_wrap=True)
    table.add_column(say(language, "models.architecture"))
    for right in ("parameters", "size"):
        table.add_column(say(language, f"models.{right}"), justify="right", no_wrap=True)
    table.add_column(say(language, "models.trainable"), overflow="fold")
    for one in found:
        facts = (one.architecture or "–", readable_count(one.parameters), readable_size(one.size))
        table.add_row(one.name, *facts, readable_verdict(one, language))
    return table


def _sheet(one: Description, rendering: Rendering | None, language: Language) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _facts(one, language):
        table.add_row(say(language, f"models.{key}"), value)
    if rendering:
        table.add_row(say(language, "models.rendering"), rendering.words().said(language))
    return table


def _facts(one: Description, language: Language) -> list[tuple[str, str]]:
    kinds = [f"{kind.type} × {kind.tensors} ({readable_size(kind.bytes)})" for kind in one.tensor_types]
    return [
        ("name", one.name),
        ("path", str(one.path)),
        ("digest", one.digest or "–"),
        ("size", readable_size(one.size)),
        ("architecture", one.architecture or "–"),
        ("parameters", readable_count(one.parameters)),
        ("tensor_types", "\n".join(kinds) or "–"),
        ("context_length", f"{one.context_length:,}" if one.context_length else "–"),
        ("tokenizer", readable_tokenizer(one.tokenizer, language)),
        ("chat_template", readable_template(one.chat_template, language)),
        ("license", one.license or "–"),
        ("trainable", readable_verdict(one, language)),
        ("targets", ", ".join(one.targets) or "–"),
    ]


def _console() -> Console:
    # what is read may hold anything; it is printed, never interpreted
    width = None if sys.stdout.isatty() else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def _warn_of_unreadable_stores(settings: Settings) -> None:
    for store in settings.ollama_stores:
        try:
            names(store)
        except StoreUnreadable as error:
            click.echo(f"{error.message(settings.language)} {error.hint(settings.language)}", err=True)
