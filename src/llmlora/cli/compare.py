"""`llmlora compare`: base and tuned side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmlora.cli.chat import ENGINES, SEEDS
from llmlora.cli.options import option_help
from llmlora.settings import read_settings
from llmlora.text.catalogue import Language, say

if TYPE_CHECKING:
    from llmlora.chat.served import Choice

NARROW = 72


@click.command()
@click.option("--model", help=option_help("model"))
@click.option("--adapter", type=click.Path(path_type=Path, exists=True), required=True, help=option_help("adapter"))
@click.option("--prompt", "prompts", multiple=True, required=True, help=option_help("prompts"))
@click.option("--seed", type=SEEDS, default=0, show_default=True, help=option_help("seed"))
@click.option(
    "--temperature", type=click.FloatRange(min=0), default=0.7, show_default=True, help=option_help("temperature")
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=128, show_default=True, help=option_help("max_tokens")
)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help=option_help("engine"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def command(
    model: str | None,
    adapter: Path,
    prompts: tuple[str, ...],
    seed: int,
    temperature: float,
    max_tokens: int,
    engine: "Choice",
    as_json: bool,
) -> None:
    """Ask base and tuned model the same, with the same seed."""
    from llmlora.chat.engine import Sampling
    from llmlora.cli.talk import Talk, opened
    from llmlora.data.conversation import Turn

    settings = read_settings()
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed)
    rows = []
    with opened(Talk(model, adapter, engine, compare=True), settings) as dialogue:
        for prompt in prompts:
            turns = (Turn("user", prompt),)
            before, after = ("".join(dialogue.answer(turns, sampling, adapted)) for adapted in (False, True))
            rows.append({"prompt": prompt, "base": before, "tuned": after})
            if not as_json:
                _show(rows[-1], settings.language)
        engines = {side: dialogue.engine_name(side == "tuned") for side in ("base", "tuned")}
    if as_json:
        document = {"seed": seed, "temperature": temperature, "engines": engines, "answers": rows}
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        names = ", ".join(dict.fromkeys(engines.values()))
        click.echo(say(settings.language, "cli.engine.answered", engine=names), err=True)


def _show(row: dict[str, str], language: Language) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(f"\n{row['prompt']}", style="bold"))
    titles = {side: say(language, f"cli.compare.{side}") for side in ("base", "tuned")}
    if console.width < NARROW:
        for side, title in titles.items():
            console.print(Text(f"{title}: ", style="dim") + Text(row[side].strip()))
        return
    table = Table(expand=True, show_lines=False)
    for title in titles.values():
        table.add_column(title, ratio=1, overflow="fold")
    table.add_row(*(Text(row[side].strip()) for side in titles))
    console.print(table)
