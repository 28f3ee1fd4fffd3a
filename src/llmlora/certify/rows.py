"""What the certificate compares on: the rows the run held out, where they are still the same, else rows of our own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmlora.adapter import RECIPE, adapter_directory, template_of
from llmlora.data.base_text import template_and_tokenizer
from llmlora.data.conversation import Conversation, Turn
from llmlora.data.examples import Example, fingerprint, make_examples
from llmlora.data.packing import split
from llmlora.data.read import read_conversations
from llmlora.data.render import Renderer
from llmlora.data.template import ChatTemplate
from llmlora.data.tokenizer import Tokenizer
from llmlora.errors import UserError
from llmlora.export.activations import fallback_conversations
from llmlora.model.source import Base
from llmlora.paths import Run
from llmlora.recipe import make_recipe, read_recipe
from llmlora.text.catalogue import Words

ROWS, TOKENS = 4, 48
PROMPTS = 3


@dataclass(frozen=True)
class Material:
    """Rows as token ids, where they come from, and questions to ask."""

    rows: list[list[int]]  # at most 4 of at most 48 tokens
    origin: Words
    questions: list[tuple[Turn, ...]]  # turns up to an answer
    prompts: list[str]  # the same as text
    template: ChatTemplate
    tokenizer: Tokenizer

    @property
    def tokens(self) -> int:
        return sum(len(row) for row in self.rows)


def material_of(adapter_path: Path, base: Base) -> Material:
    """What the adapter in `adapter_path` is tried on."""
    own, tokenizer = template_and_tokenizer(base.path)
    template = template_of(adapter_path) or own
    with Renderer(template) as renderer:
        found = _held_out(adapter_path, tokenizer, renderer)
        conversations, examples, origin = found or _own(tokenizer, renderer)
        questions = _questions(conversations)
        prompts = [renderer.prompt(turns) for turns in questions]
    rows = [example.ids[:TOKENS].tolist() for example in examples[:ROWS]]
    return Material(rows, origin, questions, prompts, template, tokenizer)


def _held_out(
    adapter_path: Path, tokenizer: Tokenizer, renderer: Renderer
) -> tuple[list[Conversation], list[Example], Words] | None:
    """None when the run held nothing out, or its data is not what it was."""
    try:
        recipe = make_recipe(read_recipe(adapter_directory(adapter_path) / RECIPE))
        reading = read_conversations([Path(path) for path in recipe.data], recipe.mapping)
        examples = make_examples(reading.conversations, tokenizer, renderer, recipe.max_length)
        if fingerprint(examples) != json.loads(Run(adapter_path).plan.read_text("utf-8"))["data_fingerprint"]:
            return None
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None
    held_out = split([example for example in examples if example.usable], recipe.eval_split, recipe.seed)[1]
    numbers = {(example.file, example.row) for example in held_out}
    conversations = [one for one in reading.conversations if (one.file, one.row) in numbers]
    return (conversations, held_out, Words("certificate.held_out")) if held_out else None


def _own(tokenizer: Tokenizer, renderer: Renderer) -> tuple[list[Conversation], list[Example], Words]:
    conversations = fallback_conversations()
    examples = make_examples(conversations, tokenizer, renderer, TOKENS)
    return conversations, examples, Words("certificate.own_rows")


def _questions(conversations: Sequence[Conversation]) -> list[tuple[Turn, ...]]:
    """What comes before the first answer of a row; rows of plain text ask nothing."""
    found = []
    for one in conversations:
        roles = [turn.role for turn in one.turns]
        if "assistant" in roles and (before := one.turns[: roles.index("assistant")]):
            found.append(before)
    return found[:PROMPTS]
