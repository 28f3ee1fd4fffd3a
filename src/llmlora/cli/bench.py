"""`llmlora bench`: how fast and how lean training is on this machine."""

import json
from typing import TYPE_CHECKING

import click

from llmlora.cli.options import option_help
from llmlora.cli.phases import phases
from llmlora.settings import read_settings
from llmlora.text.catalogue import Language, say

if TYPE_CHECKING:
    from llmlora.train.bench import Figures

FEWEST, USUAL = 3, 8  # the first two are left out
MB = 2**20


@click.command()
@click.option("--model", required=True, help=option_help("bench_model"))
@click.option("--data", multiple=True, required=True, help=option_help("bench_data"))
@click.option("--steps", type=click.IntRange(FEWEST), default=USUAL, show_default=True, help=option_help("bench_steps"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def command(model: str, data: tuple[str, ...], steps: int, as_json: bool) -> None:
    """Take real training steps, keep nothing, and tell how fast they were."""
    from llmlora.train.bench import bench, bench_recipe

    settings = read_settings()
    with phases("bench") as tell:
        figures = bench(bench_recipe(model, data, steps), settings.home, settings.ollama_stores, tell)
    if as_json:
        click.echo(json.dumps(figures.to_json(), ensure_ascii=False))
    else:
        _show(figures, settings.language)


def _show(figures: "Figures", language: Language) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmlora.cli.view import sparkline

    def words(key: str, **facts: object) -> str:
        return say(language, f"bench.{key}", **facts)

    plan, losses = figures.plan, figures.losses
    choices = [words("unpacked" if plan.unpacked else "packed"), *([words("recompute")] if plan.recompute else [])]
    rows = {
        "model": figures.model,
        "plan": words("plan_value", dtype=plan.dtype, threads=plan.threads, tokens=plan.pass_tokens, choices=choices),
        "speed": words("speed_value", tokens=f"{figures.tokens_per_second():,.0f}"),
        "supervised": words("speed_value", tokens=f"{figures.supervised_tokens_per_second():,.0f}"),
        "utilisation": words(
            "utilisation_value",
            share=f"{figures.utilisation():.0%}",
            peak=f"{figures.peak_flops / 1e9:,.0f}",
            dtype=figures.peak_dtype,
        ),
        "memory": words(
            "memory_value",
            peak=f"{figures.peak_memory / MB:,.0f}",
            own=f"{figures.peak_anonymous_memory / MB:,.0f}",
        ),
        "start": words("start_value", seconds=f"{figures.start_seconds:.1f}", first=f"{figures.seconds[0]:.1f}"),
        "loss": f"{losses[0]:.4f} {sparkline(losses)} {losses[-1]:.4f}",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(words(name), style="dim"), Text(value, overflow="fold"))
    Console(highlight=False).print(table)
