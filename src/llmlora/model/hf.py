"""A Hugging Face directory: which files count, what its config and the headers of its weights say. No torch.

Only safetensors is read, and only with code of Transformers itself: nothing that comes with a model is ever run.
The digest of a directory is the SHA-256 of what `sha256sum` would print of its files, in the order of their names.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.data.hf_text import CONFIG, MERGES, TEXT_FILES, TOKENIZER, VOCAB, read_json
from llmlora.errors import HfError, NotTrainable, UnsupportedArchitecture
from llmlora.failure import LlmloraError
from llmlora.model.form import MAX_LAYERS, printable
from llmlora.model.weights import HeaderError, read_header
from llmlora.text.catalogue import Words

TRUST_REMOTE_CODE = False  # for good: a model is numbers, not code
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"[\w-][\w.-]*\.safetensors")
CHUNK = 2**20
DTYPES = {"F32": 4, "F16": 2, "BF16": 2, "BOOL": 1, "U8": 1}  # the last two: masks in old GPT-2 files
BLOB = re.compile("[0-9a-f]{64}")  # how the cache of the hub names the file with this SHA-256


@dataclass(frozen=True)
class TensorHeader:
    """What a safetensors header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * DTYPES.get(self.dtype, 1)


@dataclass(frozen=True)
class HfDirectory:
    """A directory with a `config.json`; everything else is found when it is asked for."""

    path: Path
    config: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "HfDirectory":
        """Read the config.

        Raises:
            HfError: there is none, or it is damaged.
        """
        config = read_json(path, CONFIG)
        if config is None:
            raise HfError(path, Words("hf.no_config"))
        return cls(path, config)

    @property
    def model_type(self) -> str:
        return printable(self.config.get("model_type")) or "none"

    @property
    def context(self) -> int | None:
        """The most tokens a row may have. Phi-3's two sets of RoPE factors are told apart by the length of what is
        read at once, which rows packed end to end do not show: the shorter of its contexts is used.
        """
        rope = self.config.get("rope_scaling") or self.config.get("rope_parameters") or {}
        longest = self.config.get("max_position_embeddings", self.config.get("n_positions"))
        if isinstance(rope, dict) and "longrope" in (rope.get("rope_type"), rope.get("type")):
            inside = rope.get("original_max_position_embeddings")
            longest = self.config.get("original_max_position_embeddings", inside) or longest
        return longest if type(longest) is int and longest > 0 else None

    @property
    def layers(self) -> int | None:
        layers = self.config.get("num_hidden_layers", self.config.get("n_layer"))
        return layers if type(layers) is int else None

    @cached_property
    def weights(self) -> list[Path]:
        """The safetensors files.

        Raises:
            HfError: there are none, or one that the index names is missing.
        """
        if (self.path / WEIGHTS).is_file():
            return [self.path / WEIGHTS]
        index = read_json(self.path, INDEX)
        if index is None:
            raise HfError(self.path, Words("hf.only_pickle" if _has_pickle(self.path) else "hf.no_weights"))
        placed = index.get("weight_map")
        names = sorted(set(placed.values())) if isinstance(placed, dict) and placed else []
        for name in names or [INDEX]:
            # a name only: what lies elsewhere is not part of the model
            if not (isinstance(name, str) and SHARD.fullmatch(name) and (self.path / name).is_file()):
                raise HfError(self.path, Words("hf.file_missing", {"file": str(name)[:120]}))
        return [self.path / name for name in names]

    @cached_property
    def tensors(self) -> dict[str, TensorHeader]:
        """Every tensor of the weights by its name.

        Raises:
            HfError: a header is none, or promises other bytes than there are.
        """
        return {name: tensor for file in self.weights for name, tensor in _header(file).items()}

    @property
    def license(self) -> str | None:
        """As the front matter of its README names it."""
        try:
            with (self.path / "README.md").open(encoding="utf-8", errors="replace") as file:
                head = file.read(65536)
        except OSError:
            return None
        front = re.match(r"---\n(.*?)\n---", head, re.DOTALL)
        named = front and re.search(r"^license: *[\"']?([\w.+ -]{1,64})", front[1], re.MULTILINE)
        return named[1].strip() if named else None

    def obstacle(self, name: str) -> LlmloraError | None:
        """The first reason why it cannot be trained, as the error that training would raise."""
        try:
            return self.obstacle_of_config(name) or self._obstacle_of_files(name)
        except HfError as error:
            return error

    def obstacle_of_config(self, name: str) -> LlmloraError | None:
        """The reasons that show without the weights."""
        if reason := self._unusual_form():
            return NotTrainable(name, reason)
        if self.model_type not in HF_ARCHITECTURES:
            return UnsupportedArchitecture(self.model_type, sorted(HF_ARCHITECTURES))
        if not 0 < (self.layers or 0) <= MAX_LAYERS:
            facts = {"file": CONFIG, "reason": f"num_hidden_layers is not between 1 and {MAX_LAYERS}"}
            return HfError(self.path, Words("hf.damaged", facts))
        return None if self.context else HfError(self.path, Words("hf.no_context"))

    def _obstacle_of_files(self, name: str) -> LlmloraError | None:
        odd = next((one.dtype for one in self.tensors.values() if one.dtype not in DTYPES), None)
        if odd:
            return NotTrainable(name, Words("hf.tensor_type", {"found": odd}))
        return None if self.has_tokenizer else HfError(self.path, Words("hf.no_tokenizer"))

    @property
    def has_tokenizer(self) -> bool:
        first_gpt2 = self.model_type == "gpt2" and all((self.path / name).is_file() for name in (VOCAB, MERGES))
        return first_gpt2 or (self.path / TOKENIZER).is_file()

    def _unusual_form(self) -> Words | None:
        if "auto_map" in self.config:
            return Words("hf.remote_code")
        if "quantization_config" in self.config:
            said = self.config["quantization_config"]
            return Words(
                "hf.quantised", {"found": str(said.get("quant_method") if isinstance(said, dict) else said)[:40]}
            )
        if (self.path / "adapter_config.json").is_file():
            return Words("hf.adapter")
        if self.config.get("add_cross_attention") or self.config.get("is_encoder_decoder"):
            return Words("hf.encoder")
        return None


def need_trainable(path: Path, name: str) -> HfDirectory:
    """Open a directory whose model can be trained, and so be run.

    Raises:
        HfError, NotTrainable, UnsupportedArchitecture: it cannot.
    """
    directory = HfDirectory.open(path)
    if obstacle := directory.obstacle(name):
        raise obstacle
    return directory


def digest_of_directory(path: Path, progress: Callable[[int, int], None] | None = None) -> str:
    """`sha256:<64 hex>` of a directory, every byte of its files read; see the top of this module."""
    files = list(_files(path))
    total, done = sum(file.stat().st_size for file in files), 0
    digests = {}
    for file in files:
        digest = hashlib.sha256()
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
        digests[file.name] = digest.hexdigest()
    return _combined(digests)


def promised_digest(path: Path) -> str:
    """The same without reading the large files of the hub's cache, whose names there are their SHA-256."""
    digests = {}
    for file in _files(path):
        blob = file.resolve().name
        with file.open("rb") as opened:
            digests[file.name] = blob if BLOB.fullmatch(blob) else hashlib.file_digest(opened, "sha256").hexdigest()
    return _combined(digests)


def size_of_directory(path: Path) -> int:
    """Bytes of the files that count."""
    return sum(file.stat().st_size for file in _files(path))


def _files(path: Path) -> Iterator[Path]:
    """The files that decide what a model computes and reads, by name."""
    try:
        weights = HfDirectory.open(path).weights
    except HfError:  # whoever trains on it is told
        weights = []
    text = [name for name in TEXT_FILES if name not in (VOCAB, MERGES) or not (path / TOKENIZER).is_file()]
    index = [] if (path / WEIGHTS).is_file() else [INDEX]
    yield from sorted({*weights, *(file for name in (CONFIG, *index, *text) if (file := path / name).is_file())})


def _combined(digests: dict[str, str]) -> str:
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _has_pickle(path: Path) -> bool:
    return any(file.suffix in (".bin", ".pt", ".pth", ".ckpt") for file in path.iterdir())


def _header(file: Path) -> dict[str, TensorHeader]:
    try:
        told, following = read_header(file)
        told.pop("__metadata__", None)
        tensors = {name: TensorHeader(str(one["dtype"])[:16], tuple(one["shape"])) for name, one in told.items()}
        end = max((int(one["data_offsets"][1]) for one in told.values()), default=0)
        if end != following:
            raise ValueError("its size is not what its header says")
    except HeaderError as error:
        raise HfError(file.parent, error.problem) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise HfError(file.parent, Words("hf.damaged", {"file": file.name, "reason": str(error)[:200]})) from None
    return tensors
