"""The artefact, read back: an adapter directory of ours or any PEFT LoRA adapter, checked before it is believed.

Only safetensors is read, its header bounded first; `adapter_config.json` goes through a schema of our own, never
into PEFT (its string `target_modules` are regular expressions, some of its fields name files to unpickle).
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from llmlora.errors import NotAnAdapter
from llmlora.paths import Run

WEIGHTS, CONFIG, MANIFEST, RECIPE = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "MANIFEST.json",
    "recipe.yaml",
)
MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 20_000
PREFIX = "base_model.model."

Matrix = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Pair:
    """The two halves of one layer's adapter: a [rank, in], b [out, rank], ΔW = scaling · b a."""

    a: Matrix
    b: Matrix
    scaling: float

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])


@dataclass(frozen=True)
class Adapter:
    """An adapter in memory. `pairs` is keyed by module path: `model.layers.0.self_attn.q_proj`."""

    path: Path
    pairs: dict[str, Pair]
    base_name: str | None
    base_digest: str | None  # None: made elsewhere, it does not say which bytes it was trained on


class _Config(BaseModel):
    """The part of PEFT's configuration that decides what an adapter computes; everything else is dropped."""

    model_config = ConfigDict(extra="ignore", strict=True)

    peft_type: Literal["LORA"]
    r: int = Field(ge=1, le=512)
    lora_alpha: float = Field(gt=0, allow_inf_nan=False)
    use_rslora: bool = False
    use_dora: Literal[False] = False
    bias: Literal["none"] = "none"
    modules_to_save: None = None
    rank_pattern: dict[str, int] = Field(default_factory=dict, max_length=0)
    alpha_pattern: dict[str, float] = Field(default_factory=dict, max_length=0)
    base_model_name_or_path: str | None = None


def adapter_directory(path: Path) -> Path:
    """Where the adapter is: `path` itself, or the artefact of the run in `path`.

    Raises:
        NotAnAdapter: neither.
    """
    for directory in (Run(path).final_model, path):
        if (directory / CONFIG).is_file():
            return directory
    if Run(path).recipe.is_file():
        raise NotAnAdapter(path, "its training has not finished")
    raise NotAnAdapter(path, f"there is no {CONFIG} in it")


def read_adapter(path: Path) -> Adapter:
    """Read an adapter directory, or a run's output directory.

    Raises:
        NotAnAdapter: no adapter, a damaged one, or one of a kind that cannot be used exactly.
    """
    directory = adapter_directory(path)
    config = _read_config(directory)
    weights = _read_weights(directory / WEIGHTS)
    root = config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)
    pairs = {}
    for name in sorted(weights):
        if not name.endswith(".lora_A.weight"):
            continue
        module = name.removesuffix(".lora_A.weight")
        other = weights.get(f"{module}.lora_B.weight")
        a = weights[name]
        if other is None or a.ndim != 2 or other.ndim != 2 or not a.shape[0] == other.shape[1] == config.r:
            raise NotAnAdapter(directory, f"{module} has no pair of matrices of rank {config.r}")
        pairs[module.removeprefix(PREFIX)] = Pair(a, other, root)
    if len(weights) != 2 * len(pairs) or not pairs:
        raise NotAnAdapter(directory, "it holds other weights than pairs of lora_A and lora_B")
    manifest = _read_manifest(directory)
    base = manifest.get("base", {})
    return Adapter(directory, pairs, base.get("name", config.base_model_name_or_path), base.get("digest"))


def base_name_of(path: Path) -> str:
    """The base an adapter was trained on, as its recipe names it.

    Raises:
        NotAnAdapter: it does not say.
    """
    directory = adapter_directory(path)
    try:
        return str(yaml.safe_load((directory / RECIPE).read_text("utf-8"))["model"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        raise NotAnAdapter(directory, "it does not name its base (no recipe.yaml)") from None


def _read_config(directory: Path) -> _Config:
    try:
        return _Config.model_validate_json((directory / CONFIG).read_bytes())
    except OSError as error:
        raise NotAnAdapter(directory, str(error)) from None
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, detail["loc"])) or detail["msg"] for detail in error.errors())
        raise NotAnAdapter(directory, f"{CONFIG} is not that of a plain LoRA adapter ({wrong})") from None


def _read_weights(path: Path) -> dict[str, Matrix]:
    _check_header(path)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise NotAnAdapter(path.parent, f"{path.name}: {error}") from None
    if not all(np.issubdtype(tensor.dtype, np.floating) and np.isfinite(tensor).all() for tensor in weights.values()):
        raise NotAnAdapter(path.parent, f"{path.name} holds numbers that are not finite")
    return {name: tensor.astype(np.float32, copy=False) for name, tensor in weights.items()}


def _check_header(path: Path) -> None:
    """Bound the header before a library parses it (it allocates what the header asks for)."""
    try:
        with path.open("rb") as file:
            first = file.read(8)
            length = struct.unpack("<Q", first)[0] if len(first) == 8 else MAX_HEADER_BYTES + 1
            if length > min(MAX_HEADER_BYTES, path.stat().st_size):
                raise NotAnAdapter(path.parent, f"{path.name} is not a safetensors file")
            names = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError) as error:
        raise NotAnAdapter(path.parent, f"{path.name}: {error}") from None
    if not isinstance(names, dict) or len(names) > MAX_TENSORS:
        raise NotAnAdapter(path.parent, f"{path.name} lists more than {MAX_TENSORS} tensors")


def _read_manifest(directory: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}
