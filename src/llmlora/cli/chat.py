"""`llmlora chat`: talk to a model, with or without an adapter."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmlora.cli.options import option_help
from llmlora.settings import Settings, read_settings
from llmlora.text.catalogue import say

if TYPE_CHECKING:
    from llmlora.chat.dialogue import Dialogue
    from llmlora.chat.engine import Sampling
    from llmlora.chat.served import Choice

ENGINES = ("auto", "ollama", "llama.cpp")
SEEDS = click.IntRange(0, 2**32 - 2)  # llama.cpp takes 2³² - 1 for “any”


@click.command()
@click.option("--model", help=option_help("model"))
@click.option("--adapter", type=click.Path(path_type=Path, exists=True), help=option_help("adapter"))
@click.option("--system", help=option_help("system"))
@click.option("--prompt", help=option_help("prompt"))
@click.option("--seed", type=SEEDS, default=0, show_default=True, help=option_help("seed"))
@click.option(
    "--temperature", type=click.FloatRange(min=0), default=0.7, show_default=True, help=option_help("temperature")
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=256, show_default=True, help=option_help("max_tokens")
)
@click.option("--stop", multiple=True, help=option_help("stop"))
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help=option_help("engine"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def command(
    model: str | None,
    adapter: Path | None,
    system: str | None,
    prompt: str | None,
    seed: int,
    temperature: float,
    max_tokens: int,
    stop: tuple[str, ...],
    engine: "Choice",
    as_json: bool,
) -> None:
    """Talk to a model, with or without an adapter."""
    from llmlora.chat.engine import Sampling
    from llmlora.cli.talk import Talk, opened

    if as_json and prompt is None:
        raise click.UsageError("--json goes with --prompt")
    settings = read_settings()
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop)
    with opened(Talk(model, adapter, engine, system), settings) as dialogue:
        if prompt is None:
            _talk(dialogue, sampling, settings)
        elif as_json:
            answer = "".join(dialogue.ask(prompt, sampling))
            document = {"prompt": prompt, "answer": answer, "seed": seed, "engine": dialogue.engine_name()}
            click.echo(json.dumps(document, ensure_ascii=False))
        else:
            _print(dialogue.ask(prompt, sampling))
            click.echo(say(settings.language, "cli.engine.answered", engine=dialogue.engine_name()), err=True)


def _talk(dialogue: "Dialogue", sampling: "Sampling", settings: Settings) -> None:
    click.echo(say(settings.language, "cli.chat.welcome", engine=dialogue.engine_name()), err=True)
    while True:
        try:
            text = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            click.echo(err=True)
            return
        if text == "/exit":
            return
        if text == "/reset":
            dialogue.reset()
        elif text:
            _print(dialogue.ask(text, sampling))


def _print(pieces: Iterable[str]) -> None:
    try:
        for piece in pieces:
            click.echo(piece, nl=False)
    except KeyboardInterrupt:
        click.echo(" …", nl=False)  # this answer ends, the conversation goes on
    finally:
        click.echo()
