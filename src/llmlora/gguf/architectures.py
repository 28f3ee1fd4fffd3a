"""The architectures that can be trained, one row each: all that loading and exporting need to know about them.

A row says which tensors a file has and what Transformers calls them, how rows are ordered, which metadata keys become
which numbers of Transformers' configuration, and how RoPE and windows of attention work. llama.cpp is the judge of what
a file means: its defaults stand where a key is missing (src/models/*.cpp and `load_hparams` of llama.cpp), and what it
ignores is ignored here: `attention.sliding_window` of llama, phi3 and starcoder2, for instance.

The GGUF names are those of gguf-py's `MODEL_TENSORS`; the module names are Transformers'. `{}` is the layer number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

RowOrder = Literal["as stored", "interleaved q", "interleaved k"]


@dataclass(frozen=True)
class Linear:
    """One linear layer of a block."""

    tensor: str  # GGUF name without ".weight"
    module: str  # Transformers name inside the model
    # llama.cpp rotates pairs (2i, 2i+1) of "llama" files, Transformers pairs (i, i + d/2): the same rows, permuted
    row_order: RowOrder = "as stored"

    @property
    def target(self) -> str:
        """The short name people and PEFT use: `q_proj`."""
        return self.module.rsplit(".", 1)[1]


@dataclass(frozen=True)
class Number:
    """A number of Transformers' configuration, and the key of the file that holds it."""

    field: str
    key: str
    missing: float | None = None  # what holds without the key; None: the key must be there


@dataclass(frozen=True)
class Windows:
    """Attention in which most layers see only the last tokens."""

    every: int  # where the file has no pattern: one layer in so many, the last of each group, sees everything
    missing: int | None  # the window where the file names none; None: then every layer sees everything
    # how limited layers are rotated: as all others, by a base of their own without scaling, or as all without scaling
    rope: Literal["shared", "own base", "unscaled"]


@dataclass(frozen=True)
class Architecture:
    """Everything the loader and the exporter need to know about one `general.architecture`."""

    name: str
    model: str  # Transformers' class
    examples: tuple[str, ...]  # names in Ollama's library; none: it comes from elsewhere (`hf.co/…`)
    linears: tuple[Linear, ...]
    norms: tuple[tuple[str, str], ...]  # per layer: (GGUF name, module name)
    norm_offset: float = 0.0  # what the converter added to norm weights and Transformers adds again
    norm_bias: bool = False
    norm_epsilon: Number = Number("rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6)
    numbers: tuple[Number, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)  # of Transformers' configuration
    windows: Windows | None = None
    partial_rotary: bool = False  # RoPE may turn only the first numbers of a head
    rope_factors: str | None = None  # the tensor of divisors, one a frequency
    yarn_keys: bool = False  # the file may say where YaRN begins and ends; for all others llama.cpp knows it
    temperature: bool = False  # scores may grow beyond the original context
    # how Transformers' code turns a head, and so expects cos and sin; some makes those of pairs itself
    rope_layout: Literal["halves", "pairs", "pairs, given halves"] = "halves"
    only_if: Mapping[str, Any] = field(default_factory=dict)  # keys by which llama.cpp would compute something else
    scores_by_hidden: int = 0  # with so many layers, scores are scaled by hidden / heads instead of a head's width
    template: str | None = (
        None  # of chat, of the family; None: told by a marker token, else one that ends answers with EOS
    )

    @property
    def modules(self) -> list[str]:
        """The layers LoRA can be put on, in the order of block `{}`."""
        return [linear.module for linear in self.linears]

    @property
    def targets(self) -> list[str]:
        """Their short names."""
        return [linear.target for linear in self.linears]


def _attention(order: Literal["as stored", "interleaved"] = "as stored") -> tuple[Linear, ...]:
    q: RowOrder = "interleaved q" if order == "interleaved" else "as stored"
    k: RowOrder = "interleaved k" if order == "interleaved" else "as stored"
    return (
        Linear("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", q),
        Linear("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", k),
        Linear("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj"),
        Linear("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj"),
    )


_MLP = (
    Linear("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj"),
    Linear("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj"),
    Linear("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj"),
)
_FUSED_MLP = (
    Linear("blk.{}.ffn_up", "model.layers.{}.mlp.gate_up_proj"),
    Linear("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj"),
)
_NORMS = (
    ("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),
    ("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm"),
)
_HEAD_NORMS = (
    ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm"),
    ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm"),
)
_SANDWICH_NORMS = (
    ("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),
    ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
    ("blk.{}.ffn_norm", "model.layers.{}.pre_feedforward_layernorm"),
    ("blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm"),
)
_LAYER_NORM = "attention.layer_norm_epsilon"
ROPE_FREQUENCIES, ROPE_SHORT, ROPE_LONG = "rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"

_ROWS = (
    Architecture(
        name="llama",
        model="LlamaForCausalLM",
        examples=("llama3.2", "llama3.1", "mistral", "mistral-nemo", "smollm2", "tinyllama", "deepseek-r1:70b"),
        linears=(*_attention("interleaved"), *_MLP),
        norms=_NORMS,
        rope_factors=ROPE_FREQUENCIES,
    ),
    Architecture(
        name="mistral3",
        model="Ministral3ForCausalLM",
        examples=(),
        linears=(*_attention("interleaved"), *_MLP),
        norms=_NORMS,
        rope_factors=ROPE_FREQUENCIES,
        yarn_keys=True,
        temperature=True,
    ),
    Architecture(
        name="qwen2",
        model="Qwen2ForCausalLM",
        examples=("qwen2.5", "qwen2.5-coder", "qwen2", "qwq", "deepseek-r1:7b"),
        linears=(*_attention(), *_MLP),
        norms=_NORMS,
        template="chatml",
    ),
    Architecture(
        name="qwen3",
        model="Qwen3ForCausalLM",
        examples=("qwen3:0.6b", "qwen3:4b", "qwen3:8b", "qwen3:14b", "deepseek-r1:8b"),
        linears=(*_attention(), *_MLP),
        norms=(*_NORMS, *_HEAD_NORMS),
        template="chatml",
    ),
    Architecture(
        name="gemma",
        model="GemmaForCausalLM",
        examples=("gemma", "codegemma"),
        linears=(*_attention(), *_MLP),
        norms=_NORMS,
        norm_offset=1.0,
        template="gemma",
    ),
    Architecture(
        name="gemma2",
        model="Gemma2ForCausalLM",
        examples=("gemma2", "gemma2:2b"),
        linears=(*_attention(), *_MLP),
        norms=_SANDWICH_NORMS,
        norm_offset=1.0,
        numbers=(
            Number("attn_logit_softcapping", "attn_logit_softcapping", 50.0),
            Number("final_logit_softcapping", "final_logit_softcapping", 30.0),
        ),
        windows=Windows(every=2, missing=4096, rope="shared"),
        scores_by_hidden=46,
        template="gemma",
    ),
    Architecture(
        name="gemma3",
        model="Gemma3ForCausalLM",
        examples=("gemma3:270m", "gemma3:1b"),
        linears=(*_attention(), *_MLP),
        norms=(*_SANDWICH_NORMS, *_HEAD_NORMS),
        norm_offset=1.0,
        numbers=(Number("final_logit_softcapping", "final_logit_softcapping", 0.0),),
        windows=Windows(every=6, missing=None, rope="own base"),
        scores_by_hidden=62,
        template="gemma",
    ),
    Architecture(
        name="phi3",
        model="Phi3ForCausalLM",
        examples=("phi3", "phi3.5", "phi4", "phi4-mini"),
        linears=(
            Linear("blk.{}.attn_qkv", "model.layers.{}.self_attn.qkv_proj"),
            Linear("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj"),
            *_FUSED_MLP,
        ),
        norms=_NORMS,
        fixed={"resid_pdrop": 0.0, "embd_pdrop": 0.0},
        partial_rotary=True,
        rope_factors=ROPE_SHORT,
        template="phi3",
    ),
    Architecture(
        name="granite",
        model="GraniteForCausalLM",
        examples=("granite3.3", "granite3.1-dense", "granite3-dense"),
        linears=(*_attention("interleaved"), *_MLP),
        norms=_NORMS,
        numbers=(
            Number("logits_scaling", "logit_scale"),
            Number("residual_multiplier", "residual_scale", 1.0),
            Number("embedding_multiplier", "embedding_scale", 1.0),
            Number("attention_multiplier", "attention.scale", 0.0),
        ),
        rope_factors=ROPE_FREQUENCIES,
        only_if={"rope.scaling.finetuned": True, "deepstack_mapping": None},
        template="granite",
    ),
    Architecture(
        name="olmo2",
        model="Olmo3ForCausalLM",  # Olmo 2 is Olmo 3 without windows
        examples=("olmo2", "olmo2:13b"),
        linears=(*_attention(), *_MLP),
        norms=(
            ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
            ("blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm"),
            *_HEAD_NORMS,
        ),
        windows=Windows(every=4, missing=None, rope="unscaled"),
    ),
    Architecture(
        name="smollm3",
        model="SmolLM3ForCausalLM",
        examples=(),
        linears=(*_attention("interleaved"), *_MLP),
        norms=_NORMS,
        fixed={"no_rope_layer_interval": 4},
        template="chatml",
    ),
    Architecture(
        name="starcoder2",
        model="Starcoder2ForCausalLM",
        examples=("starcoder2", "starcoder2:15b"),
        linears=(
            *_attention(),
            Linear("blk.{}.ffn_up", "model.layers.{}.mlp.c_fc"),
            Linear("blk.{}.ffn_down", "model.layers.{}.mlp.c_proj"),
        ),
        norms=_NORMS,
        norm_bias=True,
        norm_epsilon=Number("norm_epsilon", _LAYER_NORM),
        fixed={"residual_dropout": 0.0, "embedding_dropout": 0.0},
    ),
    Architecture(
        name="command-r",
        model="CohereForCausalLM",
        examples=("command-r", "aya", "aya-expanse"),
        linears=(*_attention(), *_MLP),
        norms=(("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),),
        norm_epsilon=Number("layer_norm_eps", _LAYER_NORM),
        numbers=(Number("logit_scale", "logit_scale", 1.0),),
        rope_layout="pairs",
        template="command-r",
    ),
    Architecture(
        name="cohere2",
        model="Cohere2ForCausalLM",
        examples=("command-r7b", "command-a"),
        linears=(*_attention(), *_MLP),
        norms=(("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),),
        norm_epsilon=Number("layer_norm_eps", _LAYER_NORM),
        numbers=(Number("logit_scale", "logit_scale"),),
        windows=Windows(every=4, missing=4096, rope="shared"),
        rope_layout="pairs",
        template="command-r",
    ),
    Architecture(
        name="glm4",
        model="Glm4ForCausalLM",
        examples=(),
        linears=(*_attention(), *_FUSED_MLP),
        norms=(
            ("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),
            ("blk.{}.post_attention_norm", "model.layers.{}.post_self_attn_layernorm"),
            ("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm"),
            ("blk.{}.post_ffw_norm", "model.layers.{}.post_mlp_layernorm"),
        ),
        partial_rotary=True,
        rope_layout="pairs, given halves",
        only_if={"rope.dimension_sections": None, "nextn_predict_layers": 0},
    ),
)

ARCHITECTURES: dict[str, Architecture] = {one.name: one for one in _ROWS}
TOKEN_EMBEDDING, OUTPUT_NORM, OUTPUT = "token_embd.weight", "output_norm.weight", "output.weight"


def needed_tensors(architecture: Architecture, layers: int) -> list[str]:
    """The tensors a file must have."""
    norms = [f"{tensor}.weight" for tensor, _ in architecture.norms]
    norms += [f"{tensor}.bias" for tensor, _ in architecture.norms if architecture.norm_bias]
    stems = [f"{linear.tensor}.weight" for linear in architecture.linears] + norms
    last = [OUTPUT_NORM, OUTPUT_NORM.replace("weight", "bias")] if architecture.norm_bias else [OUTPUT_NORM]
    return [TOKEN_EMBEDDING, *last, *(stem.format(layer) for layer in range(layers) for stem in stems)]


def possible_tensors(architecture: Architecture, layers: int) -> list[str]:
    """The tensors a file may have beside them: an untied head, biases, divisors of RoPE."""
    factors = {ROPE_SHORT: [ROPE_SHORT, ROPE_LONG]}.get(architecture.rope_factors or "", [architecture.rope_factors])
    biases = [f"{linear.tensor.format(layer)}.bias" for layer in range(layers) for linear in architecture.linears]
    return [OUTPUT, *(one for one in factors if one), *biases]


def stored_rows(heads: int, head_dim: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """int64 [heads · head_dim]: where an interleaved file stores each of Transformers' rows.

    Transformers pairs row s·d/2 + j of a head for s = 0, 1; the file keeps the pair adjacent, at 2j + s
    (`permute` in conversion/llama.py of llama.cpp, inverted).
    """
    stored = np.arange(heads * head_dim, dtype=np.int64).reshape(heads, head_dim // 2, 2)
    return np.ascontiguousarray(stored.swapaxes(1, 2)).reshape(-1)
