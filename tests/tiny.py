"""Small GGUF models, made in a moment: real files that llama.cpp loads, with random weights and a byte tokenizer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gguf
from llmlora.gguf.architectures import ARCHITECTURES, Architecture

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
HIDDEN, HEADS, KV_HEADS, HEAD_DIM, WIDE, LAYERS = 64, 4, 2, 16, 96, 2
VOCABULARY = 257 + len(SPECIALS)  # 256 bytes, two spaces, the markers
# half characters and ends of turn are never the likeliest token, so that an engine always has something to show
UNLIKELY = slice(94, None)


def byte_tokens() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    table = {byte: chr(byte) for byte in kept} | {byte: chr(256 + place) for place, byte in enumerate(others)}
    return [table[byte] for byte in range(256)]


# what an architecture must or should have beside the common keys
OWN_KEYS: dict[str, dict[str, Any]] = {
    "llama": {"rope.dimension_count": HEAD_DIM, "vocab_size": VOCABULARY},
    "gemma2": {"attention.sliding_window": 8, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
    "gemma3": {"attention.sliding_window": 8},
    "phi3": {"rope.dimension_count": 12, "rope.scaling.original_context_length": 512},
    "granite": {"logit_scale": 2.0, "residual_scale": 0.7, "embedding_scale": 1.5, "attention.scale": 0.2},
    "starcoder2": {"attention.layer_norm_epsilon": 1e-5},
    "command-r": {"attention.layer_norm_epsilon": 1e-5, "logit_scale": 0.3},
    "cohere2": {"attention.layer_norm_epsilon": 1e-5, "logit_scale": 0.3, "attention.sliding_window": 8},
    "glm4": {"rope.dimension_count": HEAD_DIM // 2},
}
OWN_LAYERS = {"smollm3": 4, "cohere2": 4, "olmo2": 4}
ALL = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
OWN_BIASES = {"qwen2": ALL[:3], "glm4": ALL[:3], "starcoder2": ALL}
UNTIED = ("olmo2",)
SCALED = ("gemma", "gemma2", "gemma3")


def tiny_gguf(
    path: Path,
    architecture: str = "llama",
    kind: gguf.GGMLQuantizationType | Sequence[gguf.GGMLQuantizationType] = gguf.GGMLQuantizationType.Q8_0,
    seed: int = 0,
    template: str | None = CHATML,
    rope_factors: bool = False,
    tied: bool = True,
    context: int = 512,
    keys: Mapping[str, Any] | None = None,
    biases: Sequence[str] | None = None,
) -> Path:
    """Write a model of a few layers; `kind` is the type of its matrices, or those to draw from for each.

    `keys` are put beside the architecture's own, without its name: `{"rope.freq_base": 1e6}`. An architecture that is
    not ours is written as llama is, under its name.
    """
    random = np.random.default_rng(seed)
    form = ARCHITECTURES.get(architecture, ARCHITECTURES["llama"])
    layers = OWN_LAYERS.get(architecture, LAYERS)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    _add_keys(writer, architecture, context, layers, keys or {})
    _add_tokenizer(writer, template)
    kinds = [kind] if isinstance(kind, gguf.GGMLQuantizationType) else list(kind)

    def matrix(name: str, rows: int, columns: int, scale: float = 1.0) -> None:
        values = (random.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float32)
        if rows == VOCABULARY:
            values[UNLIKELY] = 0
        drawn = kinds[random.integers(len(kinds))] if kinds[1:] else kinds[0]
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, drawn), raw_dtype=drawn)

    def vector(name: str, size: int, middle: float) -> None:
        writer.add_tensor(name, (middle + 0.1 * random.standard_normal(size)).astype(np.float32))

    def norm(name: str, size: int) -> None:
        vector(f"{name}.weight", size, 1)
        if form.norm_bias:
            vector(f"{name}.bias", size, 0)

    # where the model scales embeddings up, a token would else foresee nothing but itself
    matrix("token_embd", VOCABULARY, HIDDEN, 3.0 / HIDDEN**0.5 if architecture in SCALED else 3.0)
    if not tied or architecture in UNTIED:
        matrix("output", VOCABULARY, HIDDEN, 3.0)
    norm("output_norm", HIDDEN)
    if rope_factors and form.rope_factors:
        pairs = OWN_KEYS.get(architecture, {}).get("rope.dimension_count", HEAD_DIM) // 2
        writer.add_tensor(form.rope_factors, np.linspace(1, 8, pairs).astype(np.float32))
        if architecture == "phi3":
            writer.add_tensor(form.rope_factors.replace("short", "long"), np.linspace(2, 9, pairs).astype(np.float32))
    biased = OWN_BIASES.get(architecture, ()) if biases is None else biases
    for layer in range(layers):
        for stem, _ in form.norms:
            norm(stem.format(layer), _norm_size(stem, architecture))
        for linear in form.linears:
            rows, columns = _linear_shape(linear.tensor, form)
            matrix(linear.tensor.format(layer), rows, columns)
            if linear.tensor.rpartition(".")[2] in biased:
                vector(f"{linear.tensor.format(layer)}.bias", rows, 0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_keys(writer: gguf.GGUFWriter, architecture: str, context: int, layers: int, keys: Mapping[str, Any]) -> None:
    common = {
        "context_length": context,
        "embedding_length": HIDDEN,
        "block_count": layers,
        "feed_forward_length": WIDE,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.key_length": HEAD_DIM,
        "attention.value_length": HEAD_DIM,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 10_000.0,
    }
    for key, value in {**common, **OWN_KEYS.get(architecture, {}), **keys}.items():
        name = f"{architecture}.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        else:
            writer.add_array(name, value)


def _linear_shape(tensor: str, form: Architecture) -> tuple[int, int]:
    part, fused_mlp = tensor.rpartition(".")[2], "gate_up_proj" in form.targets
    query, key_value = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    return {
        "attn_q": (query, HIDDEN),
        "attn_k": (key_value, HIDDEN),
        "attn_v": (key_value, HIDDEN),
        "attn_qkv": (query + 2 * key_value, HIDDEN),
        "attn_output": (HIDDEN, query),
        "ffn_gate": (WIDE, HIDDEN),
        "ffn_up": (WIDE * (2 if fused_mlp else 1), HIDDEN),
        "ffn_down": (HIDDEN, WIDE),
    }[part]


def _norm_size(tensor: str, architecture: str) -> int:
    heads = {"attn_q_norm": HEADS, "attn_k_norm": KV_HEADS}.get(tensor.rpartition(".")[2])
    if heads is None:
        return HIDDEN
    return heads * HEAD_DIM if architecture == "olmo2" else HEAD_DIM


def _add_tokenizer(writer: gguf.GGUFWriter, template: str | None) -> None:
    tokens = [*byte_tokens(), "ĠĠ", *SPECIALS]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL] * len(SPECIALS))
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(259)
    writer.add_pad_token_id(257)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
