"""`llmlora doctor`: what this machine has of what is needed, and how to mend the rest."""

import json
from collections.abc import Iterable
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmlora.cli.options import option_help
from llmlora.settings import read_settings

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
FAILED = 1


@click.command()
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def command(as_json: bool) -> int:
    """Check Python, the machine, models, Ollama, the database; exit code 1 when something fails."""
    from llmlora.doctor import Finding, examine

    settings = read_settings()
    findings = examine(settings)
    failed = any(one.status == "fail" for one in findings)

    def words(one: Finding) -> dict[str, str]:
        return {"text": one.text(settings.language), "mend": one.mend(settings.language)}

    if as_json:
        document = {"ok": not failed, "findings": [asdict(one) | words(one) for one in findings]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        _print([(one.status, words(one)) for one in findings])
    return FAILED if failed else 0


def _print(findings: Iterable[tuple[str, dict[str, str]]]) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(overflow="fold")
    for status, words in findings:
        mark, colour = MARKS[status]
        table.add_row(Text(mark, style=f"bold {colour}"), Text(words["text"]))
        if words["mend"]:
            table.add_row("", Text(words["mend"], style="dim"))
    Console(highlight=False, emoji=False).print(table)
