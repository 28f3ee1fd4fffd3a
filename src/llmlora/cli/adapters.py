"""`llmlora adapters import`, and what `--model` and `--adapter` mean to the commands that talk."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmlora.adapter import adapter_directory, base_name_of, check_base, read_adapter
from llmlora.cli.options import option_help
from llmlora.export.adapter import export_adapter
from llmlora.model.hf import need_trainable
from llmlora.model.source import resolve
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


@contextmanager
def model_and_adapter(
    model: str | None, adapter: Path | None, settings: Settings
) -> Iterator[tuple[Path, Path | None]]:
    """What a session is opened with. A GGUF base takes its adapter as GGUF: a directory is exported into a temporary
    file first. Of a DoRA adapter that file is the merged model, which `Session` takes in an adapter's place.
    A Hugging Face base takes PEFT's directory.
    """
    if model is None:
        if adapter is None:
            raise click.UsageError("give --model, --adapter, or both")
        model = base_name_of(adapter)
    base = resolve(model, settings.home, settings.ollama_stores)
    if not base.is_gguf:
        need_trainable(base.path, base.name)
        if adapter is not None:
            check_base(read_adapter(adapter), base)
        yield base.path, adapter and adapter_directory(adapter)
        return
    if adapter is None or adapter.is_file():
        yield base.path, adapter
        return
    with tempfile.TemporaryDirectory(prefix="llmlora-adapter-") as private:
        target = Path(private) / "adapter.gguf"
        if read_adapter(adapter).dora:
            from llmlora.export.merged import export_merged

            click.echo(say(settings.language, "cli.adapters.merging", path=adapter), err=True)
            export_merged(adapter, base, target)
        else:
            export_adapter(adapter, base, target)
        yield base.path, target
