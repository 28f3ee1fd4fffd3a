"""`llmlora certify`: the proof that what was trained is what answers."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmlora.adapter import base_name_of
from llmlora.cli.options import option_help
from llmlora.cli.phases import phases
from llmlora.settings import Settings, read_settings
from llmlora.text.catalogue import say

if TYPE_CHECKING:
    from llmlora.certify.certificate import Certificate


@click.command()
@click.argument("adapter", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--model", help=option_help("moved_model"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def command(adapter: Path, model: str | None, as_json: bool) -> int:
    """Compare the adapter in OUT as it is trained and as it is served."""
    from llmlora.certify.certificate import need_passed
    from llmlora.certify.page import keep
    from llmlora.certify.proof import certify
    from llmlora.model.source import resolve

    settings = read_settings()
    base = resolve(model or base_name_of(adapter), settings.home, settings.ollama_stores)
    with tempfile.TemporaryDirectory(prefix=".certify-", dir=adapter) as workshop, phases("certificate") as tell:
        certificate = certify(adapter, base, Path(workshop), settings.ollama_address, tell)
    path = keep(certificate, adapter, settings.language)
    if as_json:
        click.echo(certificate.model_dump_json())
        return 0 if certificate.passed else 1
    _show(certificate, path, settings)
    need_passed(certificate, path)
    return 0


def _show(certificate: "Certificate", path: Path, settings: Settings) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmlora.certify.page import words_of_limit, words_of_measurement

    def words(key: str) -> str:
        return say(settings.language, f"certificate.{key}")

    table = Table()
    for name in ("what", "measured", "limit", "verdict"):
        table.add_column(words(name))
    looks = {"ok": "green", "broken": "bold red"}
    for line in certificate.lines:
        facts = (words_of_measurement(line, settings.language), words_of_limit(line, settings.language))
        verdict = Text(words(f"verdicts.{line.verdict}"), style=looks.get(line.verdict, "dim"))
        table.add_row(Text(line.title.said(settings.language)), *map(Text, facts), verdict)
    Console().print(table)
    click.echo(words("passed" if certificate.passed else "failed"))
    click.echo(say(settings.language, "cli.certify.wrote", path=path, page=path.with_suffix(".html")))
