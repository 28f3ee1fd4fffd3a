"""What a base is, and whether it can be trained: read from headers alone, in milliseconds."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.data.hf_text import read_hf_template
from llmlora.data.template import TEMPLATE_KEY, choose_template
from llmlora.errors import GgufError, HfError, NotTrainable, UnsupportedArchitecture, UnsupportedTensorType
from llmlora.failure import LlmloraError
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile, TensorInfo
from llmlora.kernels.types import SUPPORTED
from llmlora.model.form import printable, read_form
from llmlora.model.hf import HfDirectory
from llmlora.model.source import Base, list_names, resolve
from llmlora.paths import Home
from llmlora.text.catalogue import Language


@dataclass(frozen=True)
class TensorCount:
    """How much of a model is stored in one type."""

    type: str
    tensors: int
    bytes: int


@dataclass(frozen=True)
class Tokenizer:
    model: str | None
    pre: str | None
    vocabulary: int


@dataclass(frozen=True)
class Description:
    """The facts about one model; None where nothing is known. `obstacle` is why it cannot be trained."""

    name: str
    obstacle: LlmloraError | None = None
    path: Path | None = None
    digest: str | None = None
    size: int | None = None
    architecture: str | None = None
    parameters: int | None = None
    tensor_types: tuple[TensorCount, ...] = ()
    context_length: int | None = None
    license: str | None = None
    tokenizer: Tokenizer | None = None
    chat_template: str | None = None  # where it comes from: "model", "family: gemma"
    targets: tuple[str, ...] = ()  # the short names LoRA can be put on, of one that can be trained

    @property
    def trainable(self) -> bool:
        return self.obstacle is None

    @property
    def reason(self) -> str | None:
        """Why it cannot be trained, in English."""
        return reason_of(self.obstacle) if self.obstacle else None

    def to_json(self) -> dict[str, Any]:
        """Every fact, ready for `json.dumps`."""
        facts = asdict(self) | {"path": str(self.path) if self.path else None}
        del facts["obstacle"]
        return facts | {"trainable": self.trainable, "reason": self.reason}


def reason_of(obstacle: LlmloraError, language: Language = "en") -> str:
    """The short form of an error, to stand after “no, because”."""
    if isinstance(obstacle, NotTrainable):
        return obstacle.reason.said(language)
    message = obstacle.message(language).rstrip(".。")
    return re.sub(r"^(The|There|Tensor)\b", lambda first: first[0].lower(), message)


def describe(base: Base) -> Description:
    """What the headers of a base say. One that cannot be read is described by its obstacle."""
    try:
        if not base.is_gguf:
            return _describe_directory(base, HfDirectory.open(base.path))
        with GgufFile(base.path) as file:
            return _describe(base, file)
    except (GgufError, HfError) as error:
        return Description(base.name, error, base.path, base.digest, license=base.license)


def describe_all(home: Home, stores: Sequence[Path]) -> Iterator[Description]:
    """Every model there is, one that cannot be opened included."""
    for name in list_names(home, stores):
        try:
            yield describe(resolve(name, home, stores, fetch=False))
        except LlmloraError as error:
            yield Description(name, error)


def obstacle_of(name: str, file: GgufFile) -> LlmloraError | None:
    """The first reason why this file cannot be trained, as the error that training would raise."""
    try:
        read_form(file)
    except NotTrainable as error:
        return NotTrainable(name, error.reason)
    except (GgufError, UnsupportedArchitecture) as error:
        return error
    return _unsupported_type(file)


def _describe(base: Base, file: GgufFile) -> Description:
    metadata = file.metadata
    architecture = printable(metadata.get("general.architecture"))
    obstacle = obstacle_of(base.name, file)
    return Description(
        name=base.name,
        obstacle=obstacle,
        path=base.path,
        digest=base.digest,
        size=base.size,
        architecture=architecture,
        parameters=sum(prod(info.shape) for info in file.tensors.values()),
        tensor_types=_tensor_types((info.kind.name, info.nbytes) for info in file.tensors.values()),
        context_length=_number(metadata.get(f"{architecture}.context_length")),
        license=base.license or printable(metadata.get("general.license")),
        tokenizer=_tokenizer(file),
        chat_template=template_source(file),
        targets=() if obstacle or architecture is None else tuple(ARCHITECTURES[architecture].targets),
    )


def _describe_directory(base: Base, directory: HfDirectory) -> Description:
    obstacle = directory.obstacle(base.name)
    tensors = {} if isinstance(obstacle, HfError) else directory.tensors
    template = None if obstacle else read_hf_template(base.path)
    source = template and ("model" if template.origin == "model" else f"family: {template.name}")
    return Description(
        name=base.name,
        obstacle=obstacle,
        path=base.path,
        digest=base.digest,
        size=base.size,
        architecture=directory.model_type,
        parameters=sum(prod(one.shape) for one in tensors.values()) or None,
        tensor_types=_tensor_types((one.dtype, one.nbytes) for one in tensors.values()),
        context_length=directory.context,
        license=base.license,
        tokenizer=_tokenizer_of(directory),
        chat_template=source or None,
        targets=() if obstacle else tuple(HF_ARCHITECTURES[directory.model_type].targets),
    )


def _tokenizer_of(directory: HfDirectory) -> Tokenizer | None:
    size = _number(directory.config.get("vocab_size"))
    return Tokenizer("tokenizers", None, size) if size and directory.has_tokenizer else None


def template_source(file: GgufFile) -> str | None:
    """Where the chat template comes from: the file itself, the documentation of its family, or nowhere."""
    if printable(file.metadata.get(TEMPLATE_KEY)):
        return "model"
    if printable(file.metadata.get("general.architecture")) not in ARCHITECTURES:
        return None
    try:
        return f"family: {choose_template(file).name}"
    except GgufError:
        return None


def _tokenizer(file: GgufFile) -> Tokenizer | None:
    if "tokenizer.ggml.tokens" not in file.metadata:
        return None
    return Tokenizer(
        printable(file.metadata.get("tokenizer.ggml.model")),
        printable(file.metadata.get("tokenizer.ggml.pre")),
        file.metadata.length("tokenizer.ggml.tokens"),
    )


def _tensor_types(found: Iterable[tuple[str, int]]) -> tuple[TensorCount, ...]:
    """From the type and the bytes of each tensor."""
    tensors, sizes = Counter[str](), Counter[str]()
    for kind, nbytes in found:
        tensors[kind] += 1
        sizes[kind] += nbytes
    return tuple(TensorCount(kind, tensors[kind], size) for kind, size in sizes.most_common())


def _unsupported_type(file: GgufFile) -> UnsupportedTensorType | None:
    odd: TensorInfo | None = next((info for info in file.tensors.values() if info.kind.name not in SUPPORTED), None)
    return UnsupportedTensorType(odd.name, odd.kind.name, SUPPORTED) if odd else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
