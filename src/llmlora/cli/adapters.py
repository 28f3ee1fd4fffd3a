"""What `--model` and `--adapter` mean to the commands that talk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from llmlora.adapter import base_name_of
from llmlora.export.adapter import export_adapter
from llmlora.model.source import resolve
from llmlora.settings import Settings


@contextmanager
def model_and_adapter(
    model: str | None, adapter: Path | None, settings: Settings
) -> Iterator[tuple[Path, Path | None]]:
    """The base's GGUF file, and the adapter as one: a directory is exported into a temporary file first."""
    if model is None:
        if adapter is None:
            raise click.UsageError("give --model, --adapter, or both")
        model = base_name_of(adapter)
    base = resolve(model, settings.home, settings.ollama_stores)
    if adapter is None or adapter.is_file():
        yield base.path, adapter
        return
    with tempfile.TemporaryDirectory(prefix="llmlora-adapter-") as private:
        target = Path(private) / "adapter.gguf"
        export_adapter(adapter, base, target)
        yield base.path, target
