"""Ollama's model store, read and never written.

    manifests/HOST/NAMESPACE/MODEL/TAG   JSON: a config and layers, each a media type, a digest and a size
    blobs/sha256-HEX                     the bytes of each

A store belongs to somebody else: everything read from it is bounded and checked before it is believed.
Source: manifest/manifest.go, manifest/paths.go and types/model/config.go of Ollama.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from llmlora.errors import DigestMismatch, NotTrainable, StoreUnreadable
from llmlora.ollama.digest import blob_path, is_digest
from llmlora.ollama.names import Name
from llmlora.text.catalogue import Words

MAX_MANIFEST_BYTES = 2**20
MAX_TEXT_BYTES = 2**20
_IMAGE = "application/vnd.ollama.image."


class Layer(BaseModel):
    """One file of a model."""

    media_type: str = Field(alias="mediaType")
    digest: str
    size: int = Field(ge=0)

    @property
    def kind(self) -> str:
        """`model`, `adapter`, `template`, `license` …"""
        return self.media_type.removeprefix(_IMAGE)


class Manifest(BaseModel):
    """What a model is made of."""

    config: Layer
    layers: list[Layer]


class Config(BaseModel):
    """The parts of a model's config that decide whether it can be trained, and how its prompts are written."""

    model_format: str = ""
    model_family: str = ""
    remote_host: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""


@dataclass(frozen=True)
class StoredModel:
    """A model of one store: where it is and what its manifest says."""

    store: Path
    name: Name
    manifest: Manifest

    def gguf(self) -> tuple[Path, str]:
        """The path and digest of the one GGUF file of this model.

        Raises:
            NotTrainable: it has none, or more than one, or more than that; the reason says which.
            DigestMismatch: the file is not as long as the manifest says.
            StoreUnreadable: the file may not be read.
        """
        if reason := self._obstacle():
            raise self._refused(reason)
        (layer,) = self._layers("model")
        path = self._blob(layer)
        if not os.access(path, os.R_OK):
            raise StoreUnreadable(self.store)
        if (found := path.stat().st_size) != layer.size:
            raise DigestMismatch(path, f"{layer.size} bytes", f"{found} bytes")
        return path, layer.digest

    def license(self) -> str | None:
        """The first line of the licence that says something."""
        lines = (line.strip() for text in self._texts("license") for line in text.splitlines())
        return next((line[:120] for line in lines if line), None)

    def template(self) -> str | None:
        """The Go template the model has, if it has one; `prompt` is its layer's name of old."""
        return next(iter([*self._texts("prompt"), *self._texts("template")][::-1]), None)

    def system(self) -> str | None:
        """What Ollama says first in conversations that bring no system turn."""
        return next(iter([*self._texts("system")][::-1]), None)

    def begins_with_messages(self) -> bool:
        """Whether Ollama puts turns of the model's own before every conversation."""
        return bool(self._layers("messages"))

    def params(self) -> str | None:
        """The JSON of Ollama's default parameters, if it has any."""
        return next(iter(self._texts("params")), None)

    def words(self) -> dict[str, Any]:
        """What is not in its weights, as `/api/create` takes it: template, system prompt, parameters, licences, the
        turns every conversation begins with, the renderer, the parser and the oldest Ollama that has them.
        """
        config, licenses = self.config(), list(self._texts("license"))
        said: dict[str, Any] = {key: getattr(config, key) for key in ("renderer", "parser", "requires")}
        said |= {"license": licenses, "template": self.template(), "system": self.system()}
        for kind, key in (("params", "parameters"), ("messages", "messages")):
            for text in self._texts(kind):
                with suppress(ValueError):  # Ollama itself could not read it
                    said[key] = json.loads(text)
        return {key: value for key, value in said.items() if value}

    def _refused(self, reason: Words) -> NotTrainable:
        return NotTrainable(str(self.name), reason)

    def _obstacle(self) -> Words | None:
        config = self.config()
        if config.remote_host:
            return Words("not_trainable.remote", {"host": config.remote_host})
        if config.model_format not in ("", "gguf"):
            return Words("not_trainable.format", {"found": config.model_format})
        if self._layers("adapter"):
            return Words("not_trainable.adapted")
        models = len(self._layers("model"))
        if models > 1:
            return Words("not_trainable.split", {"files": models})
        return None if models else Words("not_trainable.no_file")

    def config(self) -> Config:
        """Its config.

        Raises:
            NotTrainable: it is damaged.
            StoreUnreadable: it may not be read.
        """
        try:
            path = blob_path(self.store, self.manifest.config.digest)
            return Config.model_validate_json(_read(path, MAX_TEXT_BYTES))
        except FileNotFoundError:
            return Config()  # the weights say enough
        except PermissionError:
            raise StoreUnreadable(self.store) from None
        except ValueError as error:  # a ValidationError is one
            raise self._refused(Words("not_trainable.config", {"problem": _first(error)})) from None

    def _layers(self, kind: str) -> list[Layer]:
        return [layer for layer in self.manifest.layers if layer.kind == kind]

    def _texts(self, kind: str) -> Iterator[str]:
        for layer in self._layers(kind):
            try:
                yield _read(blob_path(self.store, layer.digest), MAX_TEXT_BYTES).decode("utf-8", "replace")
            except (OSError, ValueError):  # words about a model, not the model: their absence stops nobody
                continue

    def _blob(self, layer: Layer) -> Path:
        try:
            return blob_path(self.store, layer.digest)
        except ValueError as error:
            raise self._refused(Words("not_trainable.blob", {"problem": str(error)})) from None
        except PermissionError:
            raise StoreUnreadable(self.store) from None
        except OSError:
            raise self._refused(Words("not_trainable.blob_missing", {"digest": layer.digest})) from None


def find(name: Name, stores: Sequence[Path]) -> StoredModel | None:
    """The model called `name` in the first store that has it.

    Raises:
        StoreUnreadable: no store has it, but one of them may not be read.
        NotTrainable: its manifest is damaged.
    """
    unreadable: StoreUnreadable | None = None
    for store in stores:
        try:
            match = next((own for own in names(store) if own.same(name)), None)
            if match:
                return StoredModel(store, match, _manifest(store, match))
        except StoreUnreadable as error:
            unreadable = unreadable or error
    if unreadable:
        raise unreadable
    return None


def names(store: Path) -> list[Name]:
    """The models of one store, in alphabetical order; none when there is no store.

    Raises:
        StoreUnreadable: it exists and may not be read.
    """
    try:
        found = [Name.of(*parts) for parts in _walk(store / "manifests", 4)]
    except PermissionError:
        raise StoreUnreadable(store) from None
    return sorted((name for name in found if name), key=str)


def _walk(directory: Path, depth: int) -> Iterator[tuple[str, ...]]:
    """The paths of `depth` parts below `directory`, links not followed."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if depth == 1 and entry.is_file(follow_symlinks=False):
            yield (entry.name,)
        elif depth > 1 and entry.is_dir(follow_symlinks=False):
            for rest in _walk(directory / entry.name, depth - 1):
                yield (entry.name, *rest)


def _manifest(store: Path, name: Name) -> Manifest:
    path = store.joinpath("manifests", name.host, name.namespace, name.model, name.tag)
    try:
        manifest = Manifest.model_validate_json(_read(path, MAX_MANIFEST_BYTES))
    except PermissionError:
        raise StoreUnreadable(store) from None
    except (OSError, ValueError) as error:
        raise _damaged(name, _first(error)) from None
    if not all(is_digest(layer.digest) for layer in (manifest.config, *manifest.layers)):
        raise _damaged(name, "a digest is not a digest")
    return manifest


def _damaged(name: Name, problem: str) -> NotTrainable:
    return NotTrainable(str(name), Words("not_trainable.manifest", {"problem": problem}))


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise ValueError(f"larger than {most} bytes")
    return text


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    detail: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    return f"{where}: {detail['msg']}" if where else str(detail["msg"])
