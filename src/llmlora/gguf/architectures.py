"""Which tensors an architecture has, what Transformers calls them, and how their rows are ordered.

The GGUF names are those of gguf-py's `MODEL_TENSORS`; the module names are Transformers'. `{}` is the layer number.
"""

from dataclasses import dataclass
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
class Architecture:
    """Everything the loader and the exporter need to know about one `general.architecture`."""

    name: str
    linears: tuple[Linear, ...]
    norms: tuple[tuple[str, str], ...]  # per layer: (GGUF name, module name)
    norm_offset: float  # what the converter added to norm weights and Transformers adds again


_ATTENTION = (
    Linear("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj"),
    Linear("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj"),
)
_MLP = (
    Linear("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj"),
    Linear("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj"),
    Linear("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj"),
)

LLAMA = Architecture(
    name="llama",
    linears=(
        Linear("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", "interleaved q"),
        Linear("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", "interleaved k"),
        *_ATTENTION,
        *_MLP,
    ),
    norms=(
        ("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),
        ("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm"),
    ),
    norm_offset=0.0,
)

GEMMA3 = Architecture(
    name="gemma3",
    linears=(
        Linear("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj"),
        Linear("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj"),
        *_ATTENTION,
        *_MLP,
    ),
    norms=(
        ("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),
        ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm"),
        ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm"),
        ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
        ("blk.{}.ffn_norm", "model.layers.{}.pre_feedforward_layernorm"),
        ("blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm"),
    ),
    norm_offset=1.0,
)

ARCHITECTURES: dict[str, Architecture] = {one.name: one for one in (LLAMA, GEMMA3)}
TOKEN_EMBEDDING, OUTPUT_NORM, OUTPUT = "token_embd.weight", "output_norm.weight", "output.weight"
ROPE_FREQUENCIES = "rope_freqs.weight"


def stored_rows(heads: int, head_dim: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """int64 [heads · head_dim]: where an interleaved file stores each of Transformers' rows.

    Transformers pairs row s·d/2 + j of a head for s = 0, 1; the file keeps the pair adjacent, at 2j + s
    (`permute` in conversion/llama.py of llama.cpp, inverted).
    """
    stored = np.arange(heads * head_dim, dtype=np.int64).reshape(heads, head_dim // 2, 2)
    return np.ascontiguousarray(stored.swapaxes(1, 2)).reshape(-1)
