"""What the metadata of a file says about its model, in checked numbers. No torch: whoever lists models reads this too.

A file is taken only when everything in it is understood: a key or a tensor that would make llama.cpp compute something
else than Transformers' code is a reason not to train, never a detail to pass over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmlora.errors import GgufError, NotTrainable, UnsupportedArchitecture
from llmlora.gguf.architectures import (
    ARCHITECTURES,
    ROPE_LONG,
    TOKEN_EMBEDDING,
    Architecture,
    needed_tensors,
    possible_tensors,
)
from llmlora.gguf.reader import GgufFile
from llmlora.model.rope import Rotation, Scaling
from llmlora.text.catalogue import Words

MAX_LAYERS = 1024
OTHER_SENSES = ("v.", "mm.", "a.")  # tensors of images and sound that Ollama keeps in one file with the text
FULL, SLIDING = "full_attention", "sliding_attention"
ROPE_KEYS = frozenset(
    f"rope.{key}"
    for key in (
        *("dimension_count", "dimension_sections", "freq_base", "freq_base_swa", "scale_linear"),
        *("global.freq_base", "local.freq_base"),  # as Ollama writes them for gemma3
        *("scaling.type", "scaling.factor", "scaling.attn_factor", "scaling.original_context_length"),
        *("scaling.finetuned", "scaling.yarn_log_multiplier", "scaling.yarn_beta_fast", "scaling.yarn_beta_slow"),
    )
)


@dataclass(frozen=True)
class Keys:
    """The metadata of one architecture: `keys.get("block_count")` reads `llama.block_count`."""

    file: GgufFile
    architecture: Architecture

    def need(self, key: str) -> Any:
        """The value of a key that must be there.

        Raises:
            GgufError: it is not.
        """
        value = self.get(key)
        if value is None:
            raise GgufError(self.file.path, f"the key {self.architecture.name}.{key} is missing")
        return value

    def get(self, key: str, default: Any = None) -> Any:
        return self.file.metadata.get(f"{self.architecture.name}.{key}", default)

    def plain(self, key: str, default: Any = None) -> Any:
        """A value that is not an array.

        Raises:
            GgufError: it is one.
        """
        return _plain(self.file, f"{self.architecture.name}.{key}", default)

    def size(self, key: str, default: int | None = None) -> int:
        """A positive whole number.

        Raises:
            GgufError: the key is missing, or something else.
        """
        value = self.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise GgufError(self.file.path, f"the key {self.architecture.name}.{key} is missing or not a number")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number.

        Raises:
            GgufError: the key is missing, or something else.
        """
        value = self.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
            raise GgufError(self.file.path, f"the key {self.architecture.name}.{key} is missing or not a number")
        return float(value)

    def refuse(self, why: str, **facts: object) -> NotTrainable:
        """`why` names a reason among the words of `not_trainable`."""
        return NotTrainable(str(self.file.path), Words(f"not_trainable.{why}", facts))


@dataclass(frozen=True)
class Form:
    """One model, in numbers."""

    architecture: Architecture
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    rotated: int  # numbers of a head that RoPE turns
    context: int  # the most tokens a row may have
    window: int | None
    layer_types: tuple[str, ...]
    rotations: Mapping[str, Rotation]  # by type of layer
    numbers: Mapping[str, float]  # of Transformers' configuration
    temperature: (
        float | None
    )  # how much scores grow beyond the original context; None: not a thing of this architecture
    original_context: int


def architecture_of(file: GgufFile) -> Architecture:
    """The architecture a file names.

    Raises:
        UnsupportedArchitecture: one that cannot be trained.
        GgufError: something else stands in its place.
    """
    name = _plain(file, "general.architecture")
    if name not in ARCHITECTURES:
        raise UnsupportedArchitecture(printable(name) or "none", sorted(ARCHITECTURES))
    return ARCHITECTURES[name]


def printable(value: Any) -> str | None:
    """A short string safe to print: no control characters, no half characters."""
    return "".join(sign for sign in value[:120] if sign.isprintable()) if isinstance(value, str) else None


def _plain(file: GgufFile, key: str, default: Any = None) -> Any:
    value = file.metadata.get(key, default)
    if isinstance(value, list | np.ndarray):
        raise GgufError(file.path, f"the key {key} is an array")
    return value


def read_form(file: GgufFile) -> Form:
    """The form of a file's model.

    Raises:
        UnsupportedArchitecture: see `architecture_of`.
        GgufError: a key or a tensor is missing, or impossible.
        NotTrainable: experts, other senses, parts of a split file, or a way of computing that is not reproduced.
    """
    if (kind := _plain(file, "general.type", "model")) != "model":
        raise NotTrainable(str(file.path), Words("not_trainable.no_model", {"found": printable(kind)}))
    keys = Keys(file, architecture_of(file))
    _check_kind(keys)
    layers = keys.size("block_count")
    if layers > MAX_LAYERS:
        raise GgufError(file.path, f"{keys.architecture.name}.block_count is not between 1 and {MAX_LAYERS}")
    form = _form(keys, layers)
    _check_tensors(keys, layers)
    return form


def _form(keys: Keys, layers: int) -> Form:
    architecture = keys.architecture
    hidden, heads = keys.size("embedding_length"), keys.size("attention.head_count")
    key_value_heads = keys.size("attention.head_count_kv", heads)
    if hidden % heads or heads % key_value_heads:
        raise GgufError(keys.file.path, f"{hidden} numbers, {heads} heads and {key_value_heads} for keys do not divide")
    head_dim = keys.size("attention.key_length", hidden // heads)
    rotated = keys.size("rope.dimension_count", head_dim)
    if rotated % 2 or rotated > head_dim or (rotated < head_dim and not architecture.partial_rotary):
        raise keys.refuse("rotated", rotated=rotated, width=head_dim)
    if keys.plain("attention.value_length", head_dim) != head_dim:
        raise keys.refuse("head_widths")
    context = keys.size("context_length")
    original = keys.size("rope.scaling.original_context_length", context)
    window = _window(keys)
    numbers = {
        one.field: keys.number(one.key, one.missing) for one in (architecture.norm_epsilon, *architecture.numbers)
    }
    embedding = keys.file.tensors.get(TOKEN_EMBEDDING)
    return Form(
        architecture=architecture,
        vocabulary=embedding.shape[0] if embedding else 0,
        hidden=hidden,
        intermediate=keys.size("feed_forward_length"),
        layers=layers,
        heads=heads,
        key_value_heads=key_value_heads,
        head_dim=head_dim,
        rotated=rotated,
        # beyond the original context the engine takes the long factors for the whole text, its beginning included
        context=min(context, original) if ROPE_LONG in keys.file.tensors else context,
        window=window,
        layer_types=_layer_types(keys, layers, window),
        rotations=_rotations(keys, rotated, original),
        numbers=numbers,
        temperature=keys.number("attention.temperature_scale", 0.0) if architecture.temperature else None,
        original_context=original,
    )


def _window(keys: Keys) -> int | None:
    windows = keys.architecture.windows
    if windows is None:
        return None
    if keys.plain("attention.sliding_window", windows.missing) in (None, 0):
        return None
    return keys.size("attention.sliding_window", windows.missing)


def _layer_types(keys: Keys, layers: int, window: int | None) -> tuple[str, ...]:
    windows = keys.architecture.windows
    if windows is None or window is None:
        return (FULL,) * layers
    pattern = keys.get("attention.sliding_window_pattern", windows.every)
    if isinstance(pattern, int) and not isinstance(pattern, bool):
        limited = [pattern == 0 or layer % pattern < pattern - 1 for layer in range(layers)]
    elif isinstance(pattern, np.ndarray) and len(pattern) >= layers:
        limited = [bool(one) for one in pattern[:layers]]
    else:
        raise GgufError(keys.file.path, "attention.sliding_window_pattern is neither a number nor one value a layer")
    return tuple(SLIDING if one else FULL for one in limited)


def _rotations(keys: Keys, rotated: int, original: int) -> dict[str, Rotation]:
    base = keys.number("rope.freq_base", keys.get("rope.global.freq_base", 10_000.0))
    if base <= 1:
        raise GgufError(keys.file.path, f"{keys.architecture.name}.rope.freq_base is not above 1")
    scaling = _scaling(keys, original)
    full = Rotation(base, rotated, scaling)
    windows = keys.architecture.windows
    own = keys.number("rope.freq_base_swa", keys.get("rope.local.freq_base", 10_000.0))
    if windows is None:
        return {FULL: full}
    if windows.rope == "own base":
        return {FULL: full, SLIDING: Rotation(own, rotated, Scaling(magnitude=scaling.magnitude))}
    if windows.rope == "unscaled":
        return {FULL: full, SLIDING: Rotation(base, rotated, Scaling())}
    if keys.plain("rope.freq_base_swa", base) != base:
        raise keys.refuse("window_rope")
    return {FULL: full, SLIDING: full}


def _scaling(keys: Keys, original: int) -> Scaling:
    kind = keys.plain("rope.scaling.type", "linear")
    factor = keys.number("rope.scaling.factor", keys.get("rope.scale_linear", 0.0)) or 1.0
    magnitude = keys.number("rope.scaling.attn_factor", 1.0)
    if factor < 0:
        raise GgufError(keys.file.path, f"{keys.architecture.name}.rope.scaling.factor is below 0")
    if kind == "none":
        return Scaling(magnitude=magnitude)
    if kind == "linear":
        return Scaling(factor, magnitude)
    if kind != "yarn":
        raise keys.refuse("rope_scaling", found=printable(kind))
    own = keys.architecture.yarn_keys
    return Scaling(
        factor,
        magnitude,
        yarn=True,
        original_context=original,
        beta_fast=keys.number("rope.scaling.yarn_beta_fast", 32.0) if own else 32.0,
        beta_slow=keys.number("rope.scaling.yarn_beta_slow", 1.0) if own else 1.0,
        log_multiplier=keys.number("rope.scaling.yarn_log_multiplier", 0.0) if own else 0.0,
    )


def _check_kind(keys: Keys) -> None:
    metadata, architecture = keys.file.metadata, keys.architecture
    if _plain(keys.file, "split.count", 0) not in (0, 1):
        raise keys.refuse("part")
    if keys.plain("expert_count", 0):
        raise keys.refuse("experts")
    if any(name.startswith(OTHER_SENSES) for name in keys.file.tensors):
        raise keys.refuse("senses")
    if "tokenizer.ggml.tokens" not in metadata:
        raise keys.refuse("no_tokenizer")
    for key, wanted in {**architecture.only_if, "attention.causal": True}.items():
        if (found := keys.get(key, wanted)) is not wanted and (isinstance(found, np.ndarray) or found != wanted):
            raise keys.refuse("other_way", key=f"{architecture.name}.{key}")
    prefix = f"{architecture.name}."
    unknown = [key for key in metadata if key.startswith(f"{prefix}rope.") and key[len(prefix) :] not in ROPE_KEYS]
    if unknown:
        raise keys.refuse("unknown_key", key=printable(unknown[0]))


def _check_tensors(keys: Keys, layers: int) -> None:
    found = keys.file.tensors
    needed = needed_tensors(keys.architecture, layers)
    if missing := [name for name in needed if name not in found]:
        more = f", and {len(missing) - 1} more" if missing[1:] else ""
        raise GgufError(keys.file.path, f"tensor {missing[0]} is missing{more}")
    flat = [linear.tensor.format(layer) + ".weight" for layer in range(layers) for linear in keys.architecture.linears]
    if odd := [name for name in (TOKEN_EMBEDDING, *flat) if len(found[name].shape) != 2]:
        raise GgufError(keys.file.path, f"tensor {odd[0]} is not a matrix")
    known = {*needed, *possible_tensors(keys.architecture, layers)}
    if odd := [name for name in found if name not in known]:
        raise keys.refuse("unknown_tensor", tensor=printable(odd[0]), architecture=keys.architecture.name)
