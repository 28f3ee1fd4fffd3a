"""A model's own tokenizer. No torch."""

import codecs
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers.processors import TemplateProcessing

from llmlora.data.vocabulary import ENDS_OF_TURN, SPACE, Vocabulary, build_backend, byte_letters, read_vocabulary
from llmlora.gguf.reader import GgufFile

BYTE = re.compile("<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class Encoded:
    """Token ids, and for each the range of characters it was made of."""

    ids: list[int]
    spans: list[tuple[int, int]]


class Tokenizer:
    """Text to token ids and back, as the engine does it for the same model."""

    def __init__(self, vocabulary: Vocabulary, backend: Backend) -> None:
        self.vocabulary, self.backend = vocabulary, backend
        self.bos_id, self.eos_id = vocabulary.special.get("bos_token"), vocabulary.special.get("eos_token")
        self.special = {name: vocabulary.tokens[number] for name, number in vocabulary.special.items()}
        ends = {backend.token_to_id(token) for token in ENDS_OF_TURN} | {self.eos_id}
        self.eot_ids = frozenset(number for number in ends if number is not None)
        added = backend.get_added_tokens_decoder()
        self.markers = frozenset(added)
        self.control_ids = frozenset(number for number, token in added.items() if token.special)
        self._letters = byte_letters()

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary.tokens)

    @property
    def add_bos(self) -> bool:
        """Whether texts begin with the BOS token."""
        return self.vocabulary.add_bos and self.bos_id is not None

    def encode(self, text: str, add_bos: bool = True) -> list[int]:
        """Token ids; markers in the text, such as `<|im_start|>`, count; BOS comes first where the file says so."""
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
        """The text each token adds. A character made of several tokens comes with the last; the others add nothing."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [decoder.decode(self._bytes(number)) for number in ids]

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

    def _bytes(self, number: int) -> bytes:
        token = self.vocabulary.tokens[number]
        if number in self.markers:
            return token.encode()
        if self.vocabulary.byte_level and self._letters.keys() >= set(token):
            return bytes(self._letters[letter] for letter in token)
        byte = BYTE.fullmatch(token)
        return bytes.fromhex(byte[1]) if byte else token.replace(SPACE, " ").encode()


def load_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer a GGUF file describes.

    Raises:
        GgufError: its vocabulary is malformed.
        NotTrainable: one that would only be guessed at.
    """
    vocabulary = read_vocabulary(file)
    backend = build_backend(file, vocabulary)
    bos = vocabulary.special.get("bos_token") if vocabulary.add_bos else None
    add_bos_for_others(backend, None if bos is None else vocabulary.tokens[bos])
    return Tokenizer(vocabulary, backend)


def add_bos_for_others(backend: Backend, bos: str | None) -> None:
    """For those who load what `save` wrote: let the backend begin texts with BOS. Here `encode_spans` does it."""
    if bos is None:
        backend.post_processor = TemplateProcessing(single=["$A"], special_tokens=[])
    else:
        special = [(bos, backend.token_to_id(bos))]
        backend.post_processor = TemplateProcessing(single=[bos, "$A"], special_tokens=special)
