"""GGUF files of any shape with random weights, for measurements whose models cannot be here.

The weights are random bytes in their blocks with scales that give them the spread of a fresh model, so a product with
them is as fast as one with real weights and nothing overflows. The tokenizer is that of SmolLM2: its first tokens, or all
of them and unused ones, so that real rows and a real recipe run. One tensor is in memory at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import ARRAY, FLOAT32, STRING, U32, U64, GgufFile
from llmlora.gguf.writer import KeyValue, TensorPlan, write_gguf
from llmlora.model.source import resolve
from llmlora.paths import Home

UINT32, INT32 = 4, 5
NORMAL, UNUSED = 1, 5  # kinds of tokens
# where in a block its float16 scales lie, and the spread of its weights when they are 1 and the other bytes random
SCALES = {"Q4_0": ((0,), 4.6), "Q8_0": ((0,), 74.0), "Q4_K": ((0, 2), 165.0), "Q6_K": ((208,), 1360.0)}


@dataclass(frozen=True)
class RandomShape:
    """A llama of these sizes; `kind` is the type of its matrices, `output_kind` that of the head."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_heads: int
    vocabulary: int
    kind: str = "Q4_0"
    output_kind: str | None = None  # None: the embedding is the head

    @property
    def parameters(self) -> int:
        """Weights in matrices."""
        return sum(rows * columns for _, rows, columns, _ in self.matrices())

    def matrices(self) -> Iterator[tuple[str, int, int, str]]:
        """Name, rows, columns and type of each."""
        wide, narrow = self.hidden, self.hidden // self.heads * self.key_heads
        yield "token_embd", self.vocabulary, wide, self.kind
        if self.output_kind:
            yield "output", self.vocabulary, wide, self.output_kind
        for layer in range(self.layers):
            for name, rows, columns in (
                ("attn_q", wide, wide),
                ("attn_k", narrow, wide),
                ("attn_v", narrow, wide),
                ("attn_output", wide, wide),
                ("ffn_gate", self.intermediate, wide),
                ("ffn_up", self.intermediate, wide),
                ("ffn_down", wide, self.intermediate),
            ):
                yield f"blk.{layer}.{name}", rows, columns, self.kind


def write_random(path: Path, shape: RandomShape, tokenizer: GgufFile, context: int = 4096, seed: int = 0) -> Path:
    """Write the model with the first tokens of another file's tokenizer."""
    random = np.random.default_rng(seed)
    write_gguf(path, _metadata(shape, tokenizer, context), list(_tensors(shape, random)))
    return path


def sample_tokenizer(home: Home) -> GgufFile:
    """The file of SmolLM2, whose tokenizer the models borrow."""
    return GgufFile(resolve("sample:smollm2-135m", home, ()).path)


def _metadata(shape: RandomShape, tokenizer: GgufFile, context: int) -> Iterator[KeyValue]:
    numbers = {
        "block_count": shape.layers,
        "context_length": context,
        "embedding_length": shape.hidden,
        "feed_forward_length": shape.intermediate,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.key_heads,
        "rope.dimension_count": shape.hidden // shape.heads,
        "vocab_size": shape.vocabulary,
    }
    yield "general.architecture", STRING, "llama"
    yield "general.name", STRING, "random"
    yield from ((f"llama.{name}", UINT32, number) for name, number in numbers.items())
    yield "llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5
    yield "llama.rope.freq_base", FLOAT32, 10000.0
    yield from _tokens(shape.vocabulary, tokenizer)


def _tokens(count: int, tokenizer: GgufFile) -> Iterator[KeyValue]:
    """A merge makes the token of its number, so the first tokens need the merges that make them and no others."""
    told = tokenizer.metadata
    tokens, kinds = told["tokenizer.ggml.tokens"][:count], told["tokenizer.ggml.token_type"][:count].tolist()
    known = set(tokens)
    merges = [merge for merge in told["tokenizer.ggml.merges"] if merge.replace(" ", "", 1) in known]
    unused = count - len(tokens)
    yield "tokenizer.ggml.tokens", ARRAY, _strings([*tokens, *(f"<unused{number}>" for number in range(unused))])
    kinds = np.array([*kinds, *[UNUSED] * unused], "<i4")
    yield "tokenizer.ggml.token_type", ARRAY, U32.pack(INT32) + U64.pack(count) + kinds.tobytes()
    yield "tokenizer.ggml.merges", ARRAY, _strings(merges)
    copied = [key for key in told if key.startswith("tokenizer.") and not isinstance(told[key], list | np.ndarray)]
    yield from ((key, *told.encoded(key)) for key in copied)


def _strings(texts: Sequence[str]) -> bytes:
    encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    return U32.pack(STRING) + U64.pack(len(texts)) + b"".join(U64.pack(len(text)) + text for text in encoded)


def _tensors(shape: RandomShape, random: np.random.Generator) -> Iterator[TensorPlan]:
    for name, rows, columns, kind in shape.matrices():
        yield TensorPlan(f"{name}.weight", BY_NAME[kind], (rows, columns), _Blocks(rows, columns, kind, random))
    norms = ["output_norm", *(f"blk.{n}.{part}" for n in range(shape.layers) for part in ("attn_norm", "ffn_norm"))]
    for name in norms:
        ones = np.ones(shape.hidden, np.float32)
        yield TensorPlan(f"{name}.weight", BY_NAME["F32"], ones.shape, lambda ones=ones: ones)


@dataclass(frozen=True)
class _Blocks:
    """The bytes of a random matrix, made when they are written."""

    rows: int
    columns: int
    kind: str
    random: np.random.Generator

    def __call__(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        kind, (places, spread) = BY_NAME[self.kind], SCALES[self.kind]
        count = self.rows * self.columns // kind.block_size
        blocks = np.frombuffer(self.random.bytes(count * kind.block_bytes), np.uint8).copy()
        blocks = blocks.reshape(count, kind.block_bytes)
        scale = np.float16(self.columns**-0.5 / spread)
        for place in places:
            blocks[:, place : place + 2] = np.frombuffer(scale.tobytes(), np.uint8)
        return blocks.reshape(-1)
