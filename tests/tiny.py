"""Small GGUF models, made in a moment: real files that llama.cpp loads, with random weights and a byte tokenizer."""

from pathlib import Path

import numpy as np

import gguf

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


def tiny_gguf(
    path: Path,
    architecture: str = "llama",
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q8_0,
    seed: int = 0,
    template: str | None = CHATML,
    rope_frequencies: bool = False,
    tied: bool = True,
    context: int = 512,
) -> Path:
    """Write a model of two layers; `kind` is the type of its matrices."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    if architecture == "llama":
        writer.add_rope_dimension_count(HEAD_DIM)
        writer.add_vocab_size(VOCABULARY)
    else:
        writer.add_sliding_window(8)
    _add_tokenizer(writer, template)

    def matrix(name: str, rows: int, columns: int, scale: float = 1.0) -> None:
        values = (random.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float32)
        if rows == VOCABULARY:
            values[UNLIKELY] = 0
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)

    def norm(name: str, size: int) -> None:
        writer.add_tensor(f"{name}.weight", (1 + 0.1 * random.standard_normal(size)).astype(np.float32))

    matrix("token_embd", VOCABULARY, HIDDEN, 3.0)
    if not tied:
        matrix("output", VOCABULARY, HIDDEN, 3.0)
    norm("output_norm", HIDDEN)
    if rope_frequencies:
        writer.add_tensor("rope_freqs.weight", np.linspace(1, 8, HEAD_DIM // 2).astype(np.float32))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm", HIDDEN)
        norm(f"{block}.ffn_norm", HIDDEN)
        if architecture == "gemma3":
            norm(f"{block}.attn_q_norm", HEAD_DIM)
            norm(f"{block}.attn_k_norm", HEAD_DIM)
            norm(f"{block}.post_attention_norm", HIDDEN)
            norm(f"{block}.post_ffw_norm", HIDDEN)
        matrix(f"{block}.attn_q", HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{block}.attn_k", KV_HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{block}.attn_v", KV_HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{block}.attn_output", HIDDEN, HEADS * HEAD_DIM)
        matrix(f"{block}.ffn_gate", WIDE, HIDDEN)
        matrix(f"{block}.ffn_up", WIDE, HIDDEN)
        matrix(f"{block}.ffn_down", HIDDEN, WIDE)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


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
