"""`llmlora export`: a trained adapter as GGUF, alone or merged, or as a model in Ollama."""

import json
import tempfile
from pathlib import Path
from typing import Any

import click

from llmlora.cli.options import option_help
from llmlora.cli.phases import phases
from llmlora.settings import read_settings
from llmlora.text.catalogue import say


@click.command()
@click.argument("adapter", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--gguf-adapter", type=click.Path(path_type=Path), help=option_help("gguf_adapter"))
@click.option("--gguf", type=click.Path(path_type=Path), help=option_help("gguf"))
@click.option("--ollama", metavar="NAME", help=option_help("ollama"))
@click.option("--force", is_flag=True, help=option_help("force"))
@click.option("--model", help=option_help("moved_model"))
@click.option("--json", "as_json", is_flag=True, help=option_help("json"))
def command(
    adapter: Path,
    gguf_adapter: Path | None,
    gguf: Path | None,
    ollama: str | None,
    force: bool,
    model: str | None,
    as_json: bool,
) -> None:
    """Write the adapter in OUT as GGUF, or register it in Ollama."""
    from llmlora.adapter import base_name_of
    from llmlora.export.adapter import export_adapter
    from llmlora.model.source import resolve

    if gguf_adapter is None and gguf is None and ollama is None:
        raise click.UsageError("give --gguf-adapter FILE, --gguf FILE, --ollama NAME, or several of them")
    settings = read_settings()
    base = resolve(model or base_name_of(adapter), settings.home, settings.ollama_stores)
    document: dict[str, Any] = {"base": base.name, "digest": base.digest}
    if gguf_adapter is not None:
        tensors = export_adapter(adapter, base, gguf_adapter)
        document["adapter"] = {"path": str(gguf_adapter), "tensors": tensors}
        _say(as_json, "adapter", path=gguf_adapter, tensors=tensors, size=_megabytes(gguf_adapter))
    if gguf is not None:
        document["merged"] = _merged(adapter, base, gguf, as_json)
    if ollama is not None:
        document["ollama"] = _registered(adapter, base, ollama, force, as_json)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))


def _registered(adapter: Path, base: Any, name: str, force: bool, as_json: bool) -> dict[str, Any]:
    from llmlora.export.ollama import Wish, register

    settings = read_settings()
    with tempfile.TemporaryDirectory(prefix=".ollama-", dir=adapter) as workshop, phases("register") as tell:
        done = register(adapter, base, Wish(name, force), settings.ollama_address, Path(workshop), tell)
    route = say(settings.language, f"certificate.routes.{done.route}")
    _say(as_json, "ollama", name=done.name, route=route, version=done.version)
    if done.why:
        _say(as_json, "why", reason=done.why)
    _say(as_json, "next", name=done.name, out=adapter)
    return done.model_dump(mode="json")


def _merged(adapter: Path, base: Any, target: Path, as_json: bool) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    from llmlora.export.merged import export_merged

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        report = export_merged(
            adapter, base, target, lambda done, total: progress.update(task, completed=done, total=total)
        )
    if not as_json:
        _show_report(report)
    _say(as_json, "merged", path=target, tensors=len(report.tensors), size=_megabytes(target))
    return {"path": str(target), **report.to_json()}


def _show_report(report: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    language = read_settings().language
    table = Table(title=say(language, "cli.export.report", origin=report.activations), title_justify="left")
    for name in ("tensor", "before", "after", "update", "kept", "error"):
        table.add_column(say(language, f"cli.export.{name}"), justify="left" if name == "tensor" else "right")
    for one in report.tensors:
        table.add_row(one.tensor, one.before, one.after, f"{one.update:.2%}", f"{one.kept:.3f}", f"{one.error:.3f}")
    Console().print(table)


def _say(as_json: bool, key: str, **facts: Any) -> None:
    click.echo(say(read_settings().language, f"cli.export.wrote_{key}", **facts), err=as_json)


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
