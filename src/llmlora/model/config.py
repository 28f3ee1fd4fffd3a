"""From GGUF metadata to the configuration Transformers' model code runs with.

llama.cpp is the judge of what a file means, so its defaults are used where a key is missing
(src/models/llama.cpp, src/models/gemma3.cpp and `llama_hparams` of llama.cpp).
"""

from dataclasses import dataclass
from typing import Any

from transformers import Gemma3TextConfig, LlamaConfig, PreTrainedConfig

from llmlora.errors import GgufError, NotTrainable, UnsupportedArchitecture
from llmlora.gguf.architectures import ARCHITECTURES, TOKEN_EMBEDDING, Architecture
from llmlora.gguf.reader import GgufFile

GEMMA3_LOCAL_ROPE_BASE = 10_000.0
GEMMA3_27B_LAYERS = 62


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


def architecture_of(file: GgufFile) -> Architecture:
    """The architecture a file names.

    Raises:
        UnsupportedArchitecture: one that cannot be trained.
    """
    name = str(file.metadata.get("general.architecture", "none"))
    if name not in ARCHITECTURES:
        raise UnsupportedArchitecture(name, sorted(ARCHITECTURES))
    return ARCHITECTURES[name]


def config_of(file: GgufFile) -> PreTrainedConfig:
    """The Transformers configuration of a GGUF file.

    Raises:
        GgufError: a needed key is missing or impossible.
        NotTrainable: mixture of experts, or a form of RoPE that is not reproduced exactly.
        UnsupportedArchitecture: see `architecture_of`.
    """
    keys = Keys(file, architecture_of(file))
    if keys.get("expert_count", 0):
        raise NotTrainable(str(file.path), "mixture-of-experts layers cannot be trained yet")
    builders = {"llama": _llama, "gemma3": _gemma3}
    try:
        return builders[keys.architecture.name](keys)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise GgufError(file.path, f"impossible metadata: {error}") from None


def _common(keys: Keys) -> dict[str, Any]:
    heads = int(keys.need("attention.head_count"))
    hidden = int(keys.need("embedding_length"))
    return {
        "vocab_size": keys.file.tensors[TOKEN_EMBEDDING].shape[0],
        "hidden_size": hidden,
        "intermediate_size": int(keys.need("feed_forward_length")),
        "num_hidden_layers": int(keys.need("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(keys.get("attention.head_count_kv", heads)),
        "head_dim": int(keys.get("attention.key_length", hidden // heads)),
        "max_position_embeddings": int(keys.need("context_length")),
        "rms_norm_eps": float(keys.get("attention.layer_norm_rms_epsilon", 1e-6)),
        "tie_word_embeddings": True,  # the loader puts the head in place itself, tied or not
        "use_cache": False,
    }


def _llama(keys: Keys) -> LlamaConfig:
    common = _common(keys)
    rotated = int(keys.get("rope.dimension_count", common["head_dim"]))
    if rotated != common["head_dim"]:
        raise NotTrainable(str(keys.file.path), f"RoPE turns {rotated} of {common['head_dim']} numbers a head")
    return LlamaConfig(**common, rope_parameters=_rope(keys, float(keys.get("rope.freq_base", 10_000.0))))


def _gemma3(keys: Keys) -> Gemma3TextConfig:
    common = _common(keys)
    # 27B alone scales attention by the width of a head as if heads filled the hidden state
    wide = common["num_hidden_layers"] == GEMMA3_27B_LAYERS
    scalar = common["hidden_size"] // common["num_attention_heads"] if wide else common["head_dim"]
    base = float(keys.get("rope.freq_base", keys.get("rope.global.freq_base", 1_000_000.0)))
    return Gemma3TextConfig(
        **common,
        query_pre_attn_scalar=scalar,
        sliding_window=int(keys.get("attention.sliding_window", 1024)),
        rope_parameters={
            "full_attention": _rope(keys, base),
            "sliding_attention": {"rope_type": "default", "rope_theta": GEMMA3_LOCAL_ROPE_BASE},
        },
    )


def _rope(keys: Keys, base: float) -> dict[str, Any]:
    kind = str(keys.get("rope.scaling.type", "none"))
    factor = float(keys.get("rope.scaling.factor", keys.get("rope.scale_linear", 1.0)) or 1.0)
    if kind in ("none", "linear") and factor == 1.0:
        return {"rope_type": "default", "rope_theta": base}
    if kind in ("none", "linear"):
        return {"rope_type": "linear", "rope_theta": base, "factor": factor}
    raise NotTrainable(str(keys.file.path), f"RoPE scaling “{kind}” is not reproduced yet")
