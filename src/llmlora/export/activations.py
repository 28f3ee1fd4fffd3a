"""Rows whose activations decide how a merged tensor is stored: the run's own data where it is still there."""

from pathlib import Path

import yaml

from llmlora.adapter import template_of
from llmlora.data.conversation import Conversation, Turn
from llmlora.data.examples import Example, make_examples
from llmlora.data.read import read_conversations
from llmlora.data.render import Renderer
from llmlora.data.template import choose_template
from llmlora.data.tokenizer import load_tokenizer
from llmlora.errors import UserError
from llmlora.gguf.reader import GgufFile

ROWS, TOKENS = 16, 256
FALLBACK = (
    (
        "Explain in two sentences why the sky is blue.",
        "Sunlight is scattered by air. Blue light is scattered most.",
    ),
    ("日本の首都はどこですか。", "日本の首都は東京です。"),
    ("Write a line of Python that adds two numbers.", "print(1 + 2)"),
)


def calibration_examples(adapter: Path, file: GgufFile) -> tuple[list[Example], str, str]:
    """Up to 16 rows cut at 256 tokens, where they came from, and the source of the base's chat template."""
    template, tokenizer = choose_template(file), load_tokenizer(file)
    conversations, origin = _conversations(adapter)
    with Renderer(template_of(adapter) or template) as renderer:
        examples = make_examples(conversations, tokenizer, renderer, TOKENS)
    return examples, origin, template.source


def _conversations(adapter: Path) -> tuple[list[Conversation], str]:
    try:
        recipe = yaml.safe_load((adapter / "recipe.yaml").read_text("utf-8"))
        paths = [recipe["data"]] if isinstance(recipe["data"], str) else recipe["data"]
        reading = read_conversations([Path(path) for path in paths], recipe.get("mapping") or {})
        rows = reading.conversations[:ROWS]
        if rows:
            return rows, ", ".join(paths)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, UserError):
        pass  # the data has moved on; the adapter has not
    return fallback_conversations(), "built-in rows"


def fallback_conversations() -> list[Conversation]:
    """Rows of our own, for when the run's are not there any more."""
    turns = [(Turn("user", question), Turn("assistant", answer)) for question, answer in FALLBACK]
    return [Conversation(row, pair) for row, pair in enumerate(turns, 1)]
