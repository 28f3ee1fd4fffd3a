"""The artefact, read back: an adapter directory of ours or any PEFT LoRA adapter, checked before it is believed.

Only safetensors is read; `adapter_config.json` goes through a schema of our own, never into PEFT (its string
`target_modules` are regular expressions, some of its fields name files to unpickle or modules to import).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from llmlora.data.template import ChatTemplate
from llmlora.errors import AdapterMismatch, NotAnAdapter, OnlyLora
from llmlora.model.source import Base
from llmlora.model.weights import Floats, read_weights
from llmlora.paths import Run
from llmlora.text.catalogue import Words

WEIGHTS, CONFIG, MANIFEST, RECIPE, TEMPLATE = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "MANIFEST.json",
    "recipe.yaml",
    "template.json",
)
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
MAX_CONFIG_BYTES, MAX_TEMPLATE_BYTES = 2**20, 8 * 2**20
PREFIX = "base_model.model."
LORA_A, LORA_B, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"

# What PEFT writes into every configuration and means nothing by
SILENT = {"megatron_core": "megatron.core", "qalora_group_size": 16}


@dataclass(frozen=True)
class Pair:
    """The two halves of one layer's adapter: a [rank, in], b [out, rank], ΔW = scaling · b a.

    With magnitudes [out] it is DoRA: W + ΔW is then rescaled so that its rows have these lengths.
    """

    a: Floats
    b: Floats
    scaling: float
    magnitude: Floats | None = None

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])


@dataclass(frozen=True)
class Adapter:
    """An adapter in memory. `pairs` is keyed by module path: `model.layers.0.self_attn.q_proj`."""

    path: Path
    pairs: dict[str, Pair]
    rank: int
    alpha: float
    rslora: bool
    dora: bool
    base_name: str | None
    base_digest: str | None  # None: made elsewhere, it does not say which bytes it was trained on
    dropped: tuple[str, ...]  # keys of its configuration that say something, and not to us

    def state(self) -> dict[str, Floats]:
        """The weights under PEFT's names."""
        state = {}
        for module, pair in self.pairs.items():
            state[f"{PREFIX}{module}{LORA_A}"], state[f"{PREFIX}{module}{LORA_B}"] = pair.a, pair.b
            if pair.magnitude is not None:
                state[f"{PREFIX}{module}{MAGNITUDE}"] = pair.magnitude
        return state


class _Config(BaseModel):
    """The part of PEFT's configuration that decides what an adapter computes; everything else is dropped."""

    model_config = ConfigDict(extra="allow", strict=True)

    peft_type: Literal["LORA"]
    r: int = Field(ge=1, le=512)
    lora_alpha: float = Field(gt=0, allow_inf_nan=False)
    use_rslora: bool = False
    use_dora: bool = False
    bias: Literal["none"] = "none"
    target_modules: list[str] | None = None
    rank_pattern: dict[str, int] = Field(default_factory=dict, max_length=0)
    alpha_pattern: dict[str, float] = Field(default_factory=dict, max_length=0)
    init_lora_weights: bool | Literal["gaussian", "eva", "orthogonal"] = True  # the others change the base
    # other ways to compute than ours, which the weights alone would not show
    alora_invocation_tokens: None = None
    arrow_config: None = None
    kasa_config: None = None
    monteclora_config: None = None
    use_bdlora: None = None
    use_qalora: Literal[False] = False
    base_model_name_or_path: str | None = None
    # known, and of no consequence for what is computed
    modules_to_save: None = None
    lora_dropout: float = 0.0
    task_type: str | None = None
    inference_mode: bool = True
    fan_in_fan_out: bool = False
    peft_version: str | None = None
    revision: str | None = None


def adapter_directory(path: Path) -> Path:
    """Where the adapter is: `path` itself, or the artefact of the run in `path`.

    Raises:
        NotAnAdapter: neither.
    """
    for directory in (Run(path).final_model, path):
        if (directory / CONFIG).is_file():
            return directory
    if Run(path).recipe.is_file():
        raise NotAnAdapter(path, Words("not_adapter.unfinished"))
    raise NotAnAdapter(path, Words("not_adapter.no_config", {"file": CONFIG}))


def read_adapter(path: Path) -> Adapter:
    """Read an adapter directory, or a run's output directory.

    Raises:
        NotAnAdapter: no adapter, a damaged one, or one of a kind that cannot be used exactly.
        OnlyLora: it trained whole layers as well.
    """
    directory = adapter_directory(path)
    config = _read_config(directory)
    _refuse_pickles(directory)
    weights = read_weights(directory / WEIGHTS)
    pairs = {
        name.removesuffix(LORA_A).removeprefix(PREFIX): _pair(directory, name.removesuffix(LORA_A), weights, config)
        for name in sorted(weights)
        if name.endswith(LORA_A)
    }
    if len(weights) != (3 if config.use_dora else 2) * len(pairs) or not pairs:
        raise NotAnAdapter(directory, Words("not_adapter.other_weights"))
    base = _read_base(directory)
    return Adapter(
        path=directory,
        pairs=pairs,
        rank=config.r,
        alpha=config.lora_alpha,
        rslora=config.use_rslora,
        dora=config.use_dora,
        base_name=base.get("name", config.base_model_name_or_path),
        base_digest=base.get("digest"),
        dropped=tuple(sorted(key for key, value in (config.model_extra or {}).items() if _says(key, value))),
    )


def base_name_of(path: Path) -> str:
    """The base an adapter was trained on, as its manifest or recipe names it.

    Raises:
        NotAnAdapter: it does not say.
    """
    directory = adapter_directory(path)
    try:
        name = _read_base(directory).get("name")
        return name or str(yaml.safe_load((directory / RECIPE).read_text("utf-8"))["model"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        raise NotAnAdapter(directory, Words("not_adapter.no_base")) from None


def template_of(path: Path) -> ChatTemplate | None:
    """The chat template an adapter was trained with: of a run, an artefact, or a GGUF file that was exported.

    None where that is its base's own: it does not say, or is a file.

    Raises:
        NotAnAdapter: what it says is damaged.
    """
    beside = (Run(path).final_model / TEMPLATE, path / TEMPLATE, template_beside(path))
    file = next((one for one in beside if one.is_file()), None)
    if file is None:
        return None
    try:
        with file.open("rb") as stream:
            return TypeAdapter(ChatTemplate).validate_json(stream.read(MAX_TEMPLATE_BYTES), strict=True)
    except (OSError, ValidationError):
        raise NotAnAdapter(path, Words("not_adapter.template", {"file": file.name})) from None


def template_beside(gguf: Path) -> Path:
    """Where an exported file has its template, if that is not the base's own."""
    return gguf.with_suffix(f".{TEMPLATE}")


def written_template(template: ChatTemplate) -> str:
    """What `template_of` reads."""
    return json.dumps(asdict(template), indent=1, ensure_ascii=False)


def check_base(adapter: Adapter, base: Base) -> None:
    """Raises AdapterMismatch when the adapter says it was trained on other bytes than the base's."""
    if adapter.base_digest is not None and adapter.base_digest != base.digest:
        raise AdapterMismatch(
            f"{adapter.base_name} ({adapter.base_digest[:19]}…)", f"{base.name} ({base.digest[:19]}…)"
        )


def check_layers(adapter: Adapter, layers: Mapping[str, tuple[int, int]], model: str) -> None:
    """Raises AdapterMismatch when one of its layers is not among a model's: numbers out and numbers in, by module."""
    for module, pair in adapter.pairs.items():
        shape = (pair.b.shape[0], pair.a.shape[1])
        if layers.get(module) != shape:
            found = f"{model} (of {layers[module]})" if module in layers else model
            raise AdapterMismatch(f"{adapter.base_name} ({module} of {shape})", found)


def _pair(directory: Path, module: str, weights: Mapping[str, Floats], config: _Config) -> Pair:
    a, b, magnitude = (weights.get(f"{module}{part}") for part in (LORA_A, LORA_B, MAGNITUDE))
    if a is None or b is None or a.ndim != 2 or b.ndim != 2 or not a.shape[0] == b.shape[1] == config.r:
        raise NotAnAdapter(directory, Words("not_adapter.no_pair", {"module": module, "rank": config.r}))
    if (magnitude.shape if magnitude is not None else None) != (b.shape[:1] if config.use_dora else None):
        raise NotAnAdapter(directory, Words("not_adapter.no_magnitude", {"module": module}))
    return Pair(a, b, config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r), magnitude)


def _read_config(directory: Path) -> _Config:
    try:
        if (directory / CONFIG).stat().st_size > MAX_CONFIG_BYTES:
            raise NotAnAdapter(directory, Words("not_adapter.large", {"file": CONFIG, "limit": MAX_CONFIG_BYTES}))
        return _Config.model_validate_json((directory / CONFIG).read_bytes())
    except OSError as error:
        raise NotAnAdapter(directory, Words("not_adapter.unreadable", {"file": CONFIG, "reason": str(error)})) from None
    except ValidationError as error:
        wrong = {
            str(detail["loc"][0]) if detail["loc"] else detail["msg"]: detail["input"] for detail in error.errors()
        }
    if modules := wrong.get("modules_to_save"):
        raise OnlyLora([str(module) for module in modules] if isinstance(modules, list) else [str(modules)])
    if isinstance(wrong.get("target_modules"), str):
        raise NotAnAdapter(directory, Words("not_adapter.pattern", {"file": CONFIG}))
    raise NotAnAdapter(directory, Words("not_adapter.config", {"file": CONFIG, "wrong": list(wrong)}))


def _refuse_pickles(directory: Path) -> None:
    if (directory / WEIGHTS).exists():
        return
    found = sorted(path.name for path in directory.iterdir() if path.suffix in PICKLES)
    if found:
        raise NotAnAdapter(directory, Words("not_adapter.pickle", {"files": found}))


def _says(key: str, value: object) -> bool:
    """Whether a value in a configuration means anything: PEFT writes down its many defaults."""
    if isinstance(value, Mapping):
        return any(_says(inner, part) for inner, part in value.items())
    return bool(value) and SILENT.get(key) != value


def _read_base(directory: Path) -> dict[str, Any]:
    """What the manifest of an artefact of ours says about its base."""
    try:
        base = json.loads((directory / MANIFEST).read_text("utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return base if isinstance(base, dict) else {}
