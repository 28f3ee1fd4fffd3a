"""`/api/pull` from a catalogue: what a registry would have, by name.

Source: server/images.go (`PullModel`) and server/download.go of Ollama.
"""

import hashlib
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmlora.ollama.names import Name
from tests.ollama.standin.model import described, go_config
from tests.ollama.standin.refusal import Refused
from tests.ollama.standin.store import CONFIG, IMAGE, Layer, Store, chunks_of

STEPS = 4  # a download is told in so many lines


@dataclass(frozen=True)
class Published:
    """A model to pull: its GGUF file, and layers by kind such as `template`, `params`, `license`."""

    model: Path
    layers: Mapping[str, bytes] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)  # beside what the GGUF file says

    def files(self) -> Iterator[tuple[str, bytes | Path]]:
        """Media types and contents; the config comes last."""
        yield f"{IMAGE}model", self.model
        yield from ((IMAGE + kind, content) for kind, content in self.layers.items())
        yield CONFIG, go_config({**described(self.model), **self.config})


Catalogue = Mapping[str, Published]


def pull(store: Store, catalogue: Catalogue, name: Name) -> Generator[dict[str, Any]]:
    """The lines of a download; what is there already, or half there, is not fetched again."""
    yield {"status": "pulling manifest"}
    published = next((found for text, found in catalogue.items() if name.same(_name(text))), None)
    if published is None:
        raise Refused(500, "pull model manifest: file does not exist")
    layers: list[Layer] = []
    for media_type, content in published.files():
        digest = f"sha256:{_sha256(content)}"
        yield from _download(store, digest, content)
        layers.append(store.layer_of(digest, media_type))
    yield {"status": "verifying sha256 digest"}
    yield {"status": "writing manifest"}
    *others, config = layers
    store.write(store.existing(name), config, others)
    yield {"status": "success"}


def fill(store: Store, name: str, published: Published) -> None:
    """Put a model into a store at once; its GGUF file is linked where it can be."""
    with suppress(OSError):
        os.link(published.model, store.blob(f"sha256:{_sha256(published.model)}"))
    for _ in pull(store, {name: published}, _name(name)):
        pass


def _name(text: str) -> Name:
    name = Name.parse(text)
    assert name
    return name


def _download(store: Store, digest: str, content: bytes | Path) -> Generator[dict[str, Any]]:
    blob, total = store.blob(digest), len(content) if isinstance(content, bytes) else content.stat().st_size
    line = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
    partial = blob.with_name(f"{blob.name}-partial")
    if not blob.exists():
        done = partial.stat().st_size if partial.exists() else 0
        yield {**line, "completed": done}
        with partial.open("ab") as file:
            while done < total:
                step = _read(content, done, max(1, -(-total // STEPS)))
                file.write(step)
                file.flush()
                done += len(step)
                yield {**line, "completed": done}
        partial.rename(blob)
    yield {**line, "completed": total}


def _read(content: bytes | Path, start: int, size: int) -> bytes:
    if isinstance(content, bytes):
        return content[start : start + size]
    with content.open("rb") as file:
        file.seek(start)
        return file.read(size)


def _sha256(content: bytes | Path) -> str:
    found = hashlib.sha256()
    for chunk in [content] if isinstance(content, bytes) else chunks_of(content):
        found.update(chunk)
    return found.hexdigest()
