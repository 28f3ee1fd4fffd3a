"""What `--model`, `--adapter` and `--engine` mean to the commands that talk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from llmlora.adapter import adapter_directory, base_name_of, check_base, read_adapter
from llmlora.chat.dialogue import Dialogue
from llmlora.chat.served import Choice, Made, Side, Wanted, find_served
from llmlora.chat.session import Session
from llmlora.export.adapter import export_adapter
from llmlora.export.registered import still_registered
from llmlora.model.hf import need_trainable
from llmlora.model.source import Base, resolve
from llmlora.settings import Settings
from llmlora.text.catalogue import say


@dataclass(frozen=True)
class Talk:
    """With whom, and through what. The sides that shall answer are the tuned one and, to compare, the base."""

    model: str | None
    adapter: Path | None
    engine: Choice
    system: str | None = None
    compare: bool = False

    @property
    def sides(self) -> tuple[Side, ...]:
        """Who shall answer."""
        if self.adapter is None:
            return ("base",)
        return ("tuned", "base") if self.compare else ("tuned",)


@contextmanager
def opened(talk: Talk, settings: Settings) -> Iterator[Dialogue]:
    """A conversation, through Ollama where it has what is asked for, or else through an engine of ours.

    Raises:
        EngineUnavailable, OllamaUnreachable, OllamaFailed: the engine that was chosen cannot answer.
    """
    model = talk.model or (talk.adapter and base_name_of(talk.adapter))
    if not model:
        raise click.UsageError("give --model, --adapter, or both")
    base = resolve(model, settings.home, settings.ollama_stores)
    wanted = Wanted(base, _made(talk.adapter, base), talk.sides)
    if served := find_served(settings.ollama_address, wanted, talk.engine, talk.system):
        with served:
            yield served
        return
    with _files(base, talk.adapter, settings) as adapter, Session(base.path, adapter, talk.system) as session:
        yield session


def _made(adapter: Path | None, base: Base) -> Made | None:
    """What a run's directory was registered as; of a GGUF file nobody knows that."""
    if adapter is None or adapter.is_file():
        return None
    check_base(read_adapter(adapter), base)
    done = still_registered(adapter)
    return Made(done.name, done.digest) if done else None


@contextmanager
def _files(base: Base, adapter: Path | None, settings: Settings) -> Iterator[Path | None]:
    """What a session is opened with. A GGUF base takes its adapter as GGUF: a directory is exported into a temporary
    file first. Of a DoRA adapter that file is the merged model, which `Session` takes in an adapter's place.
    A Hugging Face base takes PEFT's directory.
    """
    if not base.is_gguf:
        need_trainable(base.path, base.name)
        yield adapter and adapter_directory(adapter)
        return
    if adapter is None or adapter.is_file():
        yield adapter
        return
    with tempfile.TemporaryDirectory(prefix="llmlora-adapter-") as private:
        target = Path(private) / "adapter.gguf"
        if read_adapter(adapter).dora:
            from llmlora.export.merged import export_merged

            click.echo(say(settings.language, "cli.adapters.merging", path=adapter), err=True)
            export_merged(adapter, base, target)
        else:
            export_adapter(adapter, base, target)
        yield target
