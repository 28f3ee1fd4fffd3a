"""A model's own tokenizer, rebuilt from its GGUF file. No torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers import pre_tokenizers
from tokenizers.processors import TemplateProcessing

from llmlora.errors import NotTrainable
from llmlora.gguf.reader import GgufFile

PREFIX = "tokenizer."
# byte-level pre-tokenisers that llama.cpp spells out and Transformers leaves at GPT-2's: digits one by one, then GPT-2
DIGITS_APART = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"})
GPT2_ALIKE = frozenset({"gpt-2", "default", "phi-2", "jina-es", "jina-de", "gigachat", "mpt", "olmo", "jais"})
ENDS_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "</s>", "<eos>")


@dataclass(frozen=True)
class Encoded:
    """Token ids, and for each the range of characters it was made of."""

    ids: list[int]
    spans: list[tuple[int, int]]


class Tokenizer:
    """Text to token ids and back, as llama.cpp does it for the same file."""

    def __init__(self, backend: Backend, special: dict[str, str], ids: dict[str, int | None], add_bos: bool) -> None:
        self.backend, self.special, self.add_bos = backend, special, add_bos
        self.bos_id, self.eos_id = ids["bos_token"], ids["eos_token"]
        known = [backend.token_to_id(token) for token in ENDS_OF_TURN]
        self.eot_ids = frozenset(number for number in [*known, self.eos_id] if number is not None)

    @property
    def vocabulary_size(self) -> int:
        return int(self.backend.get_vocab_size())

    def encode(self, text: str, add_bos: bool = True) -> list[int]:
        """Token ids; markers such as `<|im_start|>` in the text are recognised; BOS comes first where the file says so."""
        return self.encode_spans(text, add_bos).ids

    def encode_spans(self, text: str, add_bos: bool = True) -> Encoded:
        """As `encode`, with the characters of each token; an added BOS has the empty span (0, 0)."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        ids, spans = list(encoding.ids), list(encoding.offsets)
        if add_bos and self.add_bos and self.bos_id is not None and ids[:1] != [self.bos_id]:
            return Encoded([self.bos_id, *ids], [(0, 0), *spans])
        return Encoded(ids, spans)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, markers left out."""
        text: str = self.backend.decode(list(ids), skip_special_tokens=True)
        return text

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text each token adds, for showing; a character spread over several tokens shows at its last one."""
        shown, before = [], ""
        for stop in range(1, len(ids) + 1):
            text = self.backend.decode(list(ids[max(0, stop - 8) : stop]), skip_special_tokens=False)
            before = self.backend.decode(list(ids[max(0, stop - 8) : stop - 1]), skip_special_tokens=False)
            whole = text if not text.endswith("\ufffd") else ""
            shown.append(whole.removeprefix(before.rstrip("\ufffd")) if whole else "·")
        return shown

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` as Transformers reads them."""
        self.backend.save(str(directory / "tokenizer.json"))
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "add_bos_token": self.add_bos,
            **self.special,
        }
        (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False), "utf-8")


def load_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer a GGUF file describes.

    Raises:
        NotTrainable: one that would only be guessed at.
    """
    # imported here because it takes a second; it does not import torch
    from transformers.integrations.gguf.gguf_tokenizer_mapping import (  # noqa: PLC0415
        GGUF_PRE_TOKENIZER_SPLITS,
        GGUF_TOKENIZER_MAPPING,
        convert_gguf_tokenizer,
    )

    values = {
        name: file.metadata[PREFIX + key]
        for key, name in GGUF_TOKENIZER_MAPPING["tokenizer"].items()
        if PREFIX + key in file.metadata
    }
    values = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in values.items()}
    kind, pre = values.get("tokenizer_type"), values.get("pre_tokenizer_type", "default")
    if kind not in ("gpt2", "llama"):
        raise NotTrainable(str(file.path), f"its tokenizer is of the kind {kind!r}; gpt2 and llama are understood")
    if kind == "gpt2" and pre not in {*GGUF_PRE_TOKENIZER_SPLITS, *DIGITS_APART, *GPT2_ALIKE}:
        raise NotTrainable(str(file.path), f"its tokenizer splits text by {pre!r}, which is not known here")
    backend, _ = convert_gguf_tokenizer(str(file.metadata["general.architecture"]), values)
    if kind == "gpt2" and pre in DIGITS_APART:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    return _with_specials(backend, file, values["tokens"], add_bos_by_default=kind == "llama")


def _with_specials(backend: Backend, file: GgufFile, tokens: list[str], *, add_bos_by_default: bool) -> Tokenizer:
    keys = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids = {name: file.metadata.get(f"tokenizer.ggml.{key}_token_id") for name, key in keys.items()}
    special = {name: tokens[number] for name, number in ids.items() if number is not None and number < len(tokens)}
    add_bos = bool(file.metadata.get("tokenizer.ggml.add_bos_token", add_bos_by_default))
    if add_bos and "bos_token" in special:
        bos = special["bos_token"]
        backend.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, ids["bos_token"])])
    return Tokenizer(backend, special, ids, add_bos)
