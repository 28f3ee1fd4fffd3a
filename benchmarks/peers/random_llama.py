"""A GGUF file of Llama-3.2-1B's shape with random weights in Q4_0, for speed alone: its words are SmolLM2's."""

from pathlib import Path
from typing import Any

import numpy as np

import gguf
from llmlora.gguf.reader import GgufFile

LAYERS, HIDDEN, WIDE, HEADS, KEY_HEADS, HEAD_DIM, VOCABULARY = 16, 2048, 8192, 32, 8, 64, 128256
Q4_0 = gguf.GGMLQuantizationType.Q4_0
BLOCK = 32


def write_llama_1b(path: Path, words_of: Path) -> None:
    """Write it with the tokenizer of another file; the rest of the vocabulary is never used."""
    chance = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random Llama 1B")
    writer.add_context_length(4096)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(500_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    with GgufFile(words_of) as file:
        for key in file.metadata:
            if key.startswith("tokenizer."):
                _add(writer, key, file.metadata[key])

    def matrix(name: str, rows: int, columns: int) -> None:
        writer.add_tensor(f"{name}.weight", _random_blocks(chance, rows, columns), raw_dtype=Q4_0)

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(HIDDEN, np.float32))

    matrix("token_embd", VOCABULARY, HIDDEN)
    norm("output_norm")
    for layer in (f"blk.{number}" for number in range(LAYERS)):
        norm(f"{layer}.attn_norm")
        norm(f"{layer}.ffn_norm")
        matrix(f"{layer}.attn_q", HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{layer}.attn_k", KEY_HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{layer}.attn_v", KEY_HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{layer}.attn_output", HIDDEN, HEADS * HEAD_DIM)
        matrix(f"{layer}.ffn_gate", WIDE, HIDDEN)
        matrix(f"{layer}.ffn_up", WIDE, HIDDEN)
        matrix(f"{layer}.ffn_down", HIDDEN, WIDE)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _random_blocks(chance: np.random.Generator, rows: int, columns: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Blocks of Q4_0, [rows, bytes]: a float16 scale and 32 numbers from -8 to 7, so that a row has length one or so."""
    blocks = chance.integers(0, 256, (rows * columns // BLOCK, 18), dtype=np.uint8)
    blocks[:, :2] = np.array([columns**-0.5 / 4.6], np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if key == "tokenizer.ggml.tokens":
        writer.add_token_list([*value, *(f"<|unused{number}|>" for number in range(VOCABULARY - len(value)))])
    elif key == "tokenizer.ggml.token_type":
        writer.add_token_types([*map(int, value), *[gguf.TokenType.UNUSED] * (VOCABULARY - len(value))])
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    else:
        writer.add_array(key, list(value))
