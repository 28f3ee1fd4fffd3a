"""Conversations into tokens, each marked as trained or masked."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmlora.data.conversation import Conversation, in_row
from llmlora.data.render import Renderer
from llmlora.data.tokenizer import Tokenizer
from llmlora.errors import TemplateFailed


@dataclass(frozen=True, eq=False)
class Example:
    """A row as the model sees it."""

    row: int
    ids: np.ndarray[Any, np.dtype[np.int32]]  # [tokens]
    trained: np.ndarray[Any, np.dtype[np.bool_]]  # [tokens]: the model learns to write this token
    cut: int  # tokens beyond the maximum, which are not in it
    file: int = 0

    @property
    def truncated(self) -> bool:
        return self.cut > 0

    @property
    def usable(self) -> bool:
        """Whether there is anything to learn from it."""
        return bool(self.trained.any())


def make_examples(
    conversations: Iterable[Conversation], tokenizer: Tokenizer, renderer: Renderer, max_length: int
) -> list[Example]:
    """Tokenise every conversation as one text, cut at `max_length` tokens.

    Raises:
        TemplateFailed: the model's chat template cannot write a row.
    """
    examples = []
    for one in conversations:
        try:
            examples.append(make_example(one, tokenizer, renderer, max_length))
        except TemplateFailed as error:
            raise TemplateFailed(in_row(one.row, error.problem)) from None
    return examples


def make_example(conversation: Conversation, tokenizer: Tokenizer, renderer: Renderer, max_length: int) -> Example:
    """Tokenise one row as one text, so that its tokens are those the engine would make of it.

    Raises:
        TemplateFailed: the model's chat template cannot write it.
    """
    pieces = renderer.pieces(conversation)
    encoded = tokenizer.encode_spans("".join(piece.text for piece in pieces))
    ids = np.array(encoded.ids, np.int32)
    starts = np.array([start for start, _ in encoded.spans], np.int64)
    trained = np.zeros(len(ids), np.bool_)
    at = 0
    for piece in pieces:
        end = at + len(piece.text)
        if piece.trained:
            # a token across the border belongs to where it begins
            trained |= (starts >= at) & (starts < end)
        at = end
    if conversation.turns[0].role == "text" and tokenizer.eos_id is not None:
        ids, trained = np.append(ids, np.int32(tokenizer.eos_id)), np.append(trained, True)
    trained[:1] = False  # nothing comes before the first token to predict it from
    cut = max(0, len(ids) - max_length)
    return Example(conversation.row, ids[:max_length], trained[:max_length], cut, conversation.file)


def fingerprint(examples: Sequence[Example]) -> str:
    """SHA-256 over all tokens and masks: two runs with the same one learn from the same thing."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(len(example.ids).to_bytes(8, "little"))
        digest.update(example.ids.tobytes())
        digest.update(example.trained.tobytes())
    return digest.hexdigest()
