"""A trained adapter into Ollama, as a model that `ollama list` shows.

Two routes lead there: the adapter beside its base, as it was trained; or worked into the weights of its base, which
every Ollama loads. Versions differ in what they take (0.34.1 refuses adapters, some before it accept them and then fail
to load them), so the server is asked by doing it, not by its version.

Until it has proved to load, the model has a name of ours, `llmlora-unfinished/…`; only then it gets the name that was
asked for, in one step, and a model that had it stays until then. Whatever ends this half-way, that name is removed
again; what a kill leaves is replaced by the next try of the same name, or swept an hour later.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from llmlora import __version__
from llmlora.adapter import WEIGHTS, check_base, read_adapter, template_of
from llmlora.errors import OllamaFailed, OllamaUnreachable
from llmlora.export.adapter import export_adapter
from llmlora.export.mapping import open_gguf
from llmlora.export.merged import kept_merged
from llmlora.export.registered import UNFINISHED, Registered, called, mark_of, name_of, need_free
from llmlora.files import write_text
from llmlora.model.source import Base, digest_of
from llmlora.ollama import client, store
from llmlora.ollama.names import HOST, Name
from llmlora.paths import Run
from llmlora.text.catalogue import Words, say

STALE = timedelta(hours=1)

Phase = Literal["asking", "merging", "uploading", "creating", "loading", "naming"]
OnProgress = Callable[[Phase, int, int], None]  # done of all: tensors while merging, else bytes; 0 of 0: unknown


@dataclass(frozen=True)
class Wish:
    """What the model shall be called."""

    name: str  # [[HOST/]NAMESPACE/]NAME[:TAG]
    force: bool = False  # also where somebody else's model is called so
    label: str = ""  # of the adapter, for the licence text


def ignore(_phase: Phase, _done: int, _total: int) -> None:
    """The `on_progress` of someone who does not watch."""


def register(
    adapter_path: Path, base: Base, wish: Wish, address: str, workshop: Path, on_progress: OnProgress = ignore
) -> Registered:
    """Make a model of `base` and the adapter in the Ollama at `address`, and note it in the adapter's directory.

    GGUF files are made in `workshop`. An exception of `on_progress` ends everything, and nothing is left in Ollama.

    Raises:
        BadModelName: Ollama has no such names.
        ModelNameTaken: somebody else's model is called so.
        NotAnAdapter, AdapterMismatch: there is no adapter, or not one for this base.
        NoGguf: the base is a Hugging Face directory.
        OllamaUnreachable, OllamaFailed: the server is gone, or refuses both routes.
        DiskFull: there is no room for the merged file.
    """
    began, name = time.monotonic(), name_of(wish.name)
    with open_gguf(base):
        pass  # or it is refused, before anything is asked
    adapter = read_adapter(adapter_path)
    check_base(adapter, base)
    on_progress("asking", 0, 0)
    version = client.version(address)
    need_free(address, name, force=wish.force)
    _sweep(address)
    digest = digest_of(adapter.path / WEIGHTS)
    with _unfinished(address, name) as temporary:
        text = _license(name, base, wish.label or adapter_path.resolve().name, digest)
        making = _Making(adapter_path, base, address, temporary, text, workshop, on_progress)
        why = Words("register.dora") if adapter.dora else making.beside()
        if why:
            making.merged()
        on_progress("naming", 0, 0)
        client.copy(address, temporary, str(name))
    made = called(client.models(address), name)
    if made is None:
        raise OllamaFailed(f"{name} is not in its list")
    done = Registered(
        name=str(name),
        route="merged" if why else "adapter",
        version=version,
        why=why,
        digest=f"sha256:{made.digest}",
        base=base.name,
        base_digest=base.digest,
        adapter_digest=digest,
        seconds=time.monotonic() - began,
        at=datetime.now(UTC),
    )
    write_text(Run(adapter_path).registered, done.model_dump_json(indent=1))
    return done


@dataclass(frozen=True)
class _Making:
    """The model under its temporary name."""

    adapter: Path
    base: Base
    address: str
    temporary: str
    license: str
    workshop: Path
    tell: OnProgress

    def beside(self) -> Words | None:
        """Base and adapter; the server's words where it does not load that."""
        file = self.workshop / "adapter.gguf"
        export_adapter(self.adapter, self.base, file)
        source, adapter = self._source(), self._upload(file, digest_of(file))
        try:
            self._create({**source, "adapters": {file.name: adapter}})
            if not client.show(self.address, self.temporary).commands("ADAPTER"):
                raise OllamaFailed("it made a model without the adapter")
            self._load()
        except OllamaFailed as error:
            return Words("register.refused", {"problem": error.problem})
        return None

    def merged(self) -> None:
        """The adapter in the weights of the base, with the base's words."""
        file, _ = kept_merged(
            self.adapter, self.base, self.workshop, lambda done, total: self.tell("merging", done, total)
        )
        self._create({**_words(self.base), "files": {file.name: self._upload(file, digest_of(file))}})
        self._load()

    def _source(self) -> dict[str, Any]:
        """The base: as the server's own model where that has the same bytes, or else as a file."""
        own = self.base.name.removeprefix("ollama:")
        if own != self.base.name and self._serves(own):
            return {"from": own}
        return {**_words(self.base), "files": {"base.gguf": self._upload(self.base.path, self.base.digest)}}

    def _pinned(self) -> dict[str, str]:
        """The template it was trained with where that is Ollama's own, whatever becomes of the base's."""
        template = template_of(self.adapter)
        return {"template": template.source} if template and template.language == "go" else {}

    def _serves(self, name: str) -> bool:
        try:
            files = client.show(self.address, name).commands("FROM")
        except OllamaFailed:
            return False
        return bool(files) and self.base.digest.removeprefix("sha256:") in files[0]

    def _upload(self, file: Path, digest: str) -> str:
        if not client.has_blob(self.address, digest):
            client.put_blob(self.address, digest, file, lambda done, total: self.tell("uploading", done, total))
        return digest

    def _create(self, request: dict[str, Any]) -> None:
        own = {"model": self.temporary, "license": [*request.pop("license", []), self.license], **self._pinned()}
        with closing(client.create(self.address, {**request, **own})) as told:
            for line in told:
                self.tell("creating", line.completed, line.total)

    def _load(self) -> None:
        """Have it write one token: some servers accept what they cannot load."""
        self.tell("loading", 0, 0)
        options = {"num_predict": 1, "temperature": 0}
        with closing(client.generate(self.address, self.temporary, "1", options)) as pieces:
            if not any(piece.done for piece in pieces):
                raise OllamaFailed("its answer ended early")


def _sweep(address: str) -> None:
    """Remove what was left unfinished long ago."""
    for tag in client.models(address):
        own = Name.parse(tag.name)
        if own and own.namespace == UNFINISHED and tag.modified_at and datetime.now(UTC) - tag.modified_at > STALE:
            with suppress(OllamaFailed):  # somebody else was faster
                client.delete(address, tag.name)


@contextmanager
def _unfinished(address: str, name: Name) -> Iterator[str]:
    """A name that only tries of the same final name have; whatever has it at the end is removed."""
    part = hashlib.sha256(str(name).lower().encode()).hexdigest()[:16]
    temporary = str(Name(HOST, UNFINISHED, part, "latest"))
    try:
        yield temporary
    finally:
        with suppress(OllamaFailed, OllamaUnreachable):  # there is none, or nobody to ask: it is swept later
            client.delete(address, temporary)


def _words(base: Base) -> dict[str, Any]:
    """What a model made of a file must be told, so that it speaks as its base does."""
    name = Name.parse(base.name.removeprefix("ollama:")) if base.name.startswith("ollama:") else None
    stored = name and store.find(name, [base.path.parent.parent])
    if stored:
        return stored.words()
    return {"license": [base.license]} if base.license else {}


def _license(name: Name, base: Base, label: str, digest: str) -> str:
    facts = {"base": base.name, "base_digest": base.digest, "label": label, "digest": digest, "version": __version__}
    return f"{mark_of(name)}\n{say('en', 'register.license', **facts)}"
