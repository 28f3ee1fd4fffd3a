"""A store as Ollama keeps it, written for real: manifests/HOST/NAMESPACE/MODEL/TAG and blobs/sha256-HEX.

Source: manifest/manifest.go, manifest/layer.go and manifest/paths.go of Ollama.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from llmlora.ollama.names import Name
from llmlora.ollama.store import names
from tests.ollama.standin.refusal import Refused

Layer = dict[str, Any]
IMAGE = "application/vnd.ollama.image."
CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}")
CHUNK = 2**20


def go_json(value: Any, *, sort: bool = False) -> bytes:
    """JSON to the byte as Go's encoder writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode() + b"\n"


def parse(text: str, problem: str = "invalid model name") -> Name:
    """A name, or status 400."""
    name = Name.parse(text or "")
    if not name:
        raise Refused(400, problem)
    return name


class Store:
    """The files below `root`."""

    def __init__(self, root: Path) -> None:
        self.root, self.blobs, self.manifests = root, root / "blobs", root / "manifests"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.manifests.mkdir(exist_ok=True)

    def blob(self, digest: str) -> Path:
        """Where the bytes of `digest` lie or would lie."""
        if not DIGEST.fullmatch(digest):
            raise Refused(400, "invalid digest format")
        return self.blobs / digest.replace(":", "-")

    @contextmanager
    def receiving(self) -> Iterator["Upload"]:
        """A file that is being written; gone at the end unless it was kept."""
        handle, temporary = tempfile.mkstemp(dir=self.blobs, prefix="sha256-")
        try:
            with os.fdopen(handle, "wb") as file:
                yield Upload(self, file, Path(temporary))
        finally:
            Path(temporary).unlink(missing_ok=True)

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int, bool]:
        """Keep a file: its digest, its size, whether it is new."""
        with self.receiving() as upload:
            for chunk in chunks:
                upload.write(chunk)
            return upload.keep()

    def layer(self, kind: str, content: bytes | Path) -> Layer:
        """A layer made of `content`. Its status is for the one who creates."""
        digest, size, new = self.put([content] if isinstance(content, bytes) else chunks_of(content))
        status = f"{'creating new' if new else 'using existing'} layer {digest}"
        return {"mediaType": kind if "/" in kind else IMAGE + kind, "digest": digest, "size": size, "status": status}

    def layer_of(self, digest: str, media_type: str, origin: str = "") -> Layer:
        """A layer of a blob that is there; `origin` is the model or the file it comes from."""
        try:
            size = self.blob(digest).stat().st_size
        except FileNotFoundError as error:
            raise Refused(500, f"stat {error.filename}: no such file or directory") from None
        layer = {"mediaType": media_type, "digest": digest, "size": size}
        return layer | ({"from": origin} if origin else {}) | {"status": f"using existing layer {digest}"}

    def names(self) -> list[Name]:
        """The models, read from the disk each time."""
        return names(self.root)

    def existing(self, name: Name) -> Name:
        """`name` in the letter case in which the store has it."""
        return next((own for own in self.names() if own.same(name)), name)

    def path(self, name: Name) -> Path:
        """Of its manifest."""
        return self.manifests.joinpath(name.host, name.namespace, name.model, name.tag)

    def manifest(self, name: Name) -> dict[str, Any]:
        """Raises FileNotFoundError."""
        described: dict[str, Any] = json.loads(self.path(name).read_bytes())
        return described

    def write(self, name: Name, config: Layer, layers: Iterable[Layer]) -> None:
        """Make a model of layers, in the place of one with this name."""
        bare = [{key: value for key, value in layer.items() if key != "status"} for layer in (config, *layers)]
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": bare[0], "layers": bare[1:]}
        self.path(name).write_bytes(go_json(manifest))

    def remove(self, name: Name) -> None:
        """Remove a model, and the blobs no other has."""
        manifest = self.manifest(name)
        self.path(name).unlink()
        with suppress(OSError):  # as far up as directories are empty
            for directory in list(self.path(name).parents)[:3]:
                directory.rmdir()
        self.prune(manifest)

    def prune(self, manifest: Mapping[str, Any]) -> None:
        """Remove the blobs of a manifest that no model has any more."""
        for digest in set(digests_of(manifest)) - self.used():
            self.blob(digest).unlink(missing_ok=True)

    def used(self) -> set[str]:
        """The digests that models have."""
        return {digest for name in self.names() for digest in digests_of(self.manifest(name))}

    def lie(self, digest: str, content: bytes) -> None:
        """Put other bytes under a digest."""
        self.blob(digest).unlink(missing_ok=True)  # it may be a link to a file of somebody else's
        self.blob(digest).write_bytes(content)

    def orphans(self) -> set[str]:
        """Files among the blobs that no model has."""
        return {path.name for path in self.blobs.iterdir()} - {digest.replace(":", "-") for digest in self.used()}


class Upload:
    """A file on its way into a store."""

    def __init__(self, store: Store, file: BinaryIO, path: Path) -> None:
        self._store, self._file, self._path = store, file, path
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, chunk: bytes) -> None:
        """The next bytes."""
        self._hash.update(chunk)
        self._size += self._file.write(chunk)

    def keep(self) -> tuple[str, int, bool]:
        """It is whole: its digest, its size, whether it is new."""
        self._file.close()
        digest = f"sha256:{self._hash.hexdigest()}"
        new = not self._store.blob(digest).exists()
        if new:
            self._path.rename(self._store.blob(digest))
            self._store.blob(digest).chmod(0o644)
        return digest, self._size, new


def digests_of(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Of its config and its layers."""
    yield from (layer["digest"] for layer in (manifest["config"], *manifest["layers"]))


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file, piece by piece."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
