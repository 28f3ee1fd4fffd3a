"""Which chat template a model's prompts are written with."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from llmlora.data.vocabulary import read_tokens, special_ids
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.gguf.reader import GgufFile

TEMPLATE_KEY = "tokenizer.chat_template"
# for families of many tongues without a template: the marker token that gives one away
MARKERS = (("<|im_start|>", "chatml"), ("<|start_header_id|>", "llama3"))


@dataclass(frozen=True)
class ChatTemplate:
    """A template, in Jinja or as Ollama has them in Go's text/template, and what it may mention."""

    source: str
    origin: Literal["model", "family", "ollama"]
    name: str
    bos: str
    eos: str
    language: Literal["jinja", "go"] = "jinja"
    system: str = ""  # said before conversations without a system turn, as Ollama does with a model's SYSTEM


def choose_template(file: GgufFile) -> ChatTemplate:
    """The model's own template, or the documented one of its family when it has none.

    Raises:
        GgufError: its vocabulary is malformed.
    """
    tokens = read_tokens(file)
    special = {name: tokens[number] for name, number in special_ids(file, len(tokens)).items()}
    bos, eos = special.get("bos_token", ""), special.get("eos_token", "")
    own = file.metadata.get(TEMPLATE_KEY)
    if own and isinstance(own, str):
        return ChatTemplate(own, "model", "model", bos, eos)
    architecture = ARCHITECTURES.get(str(file.metadata.get("general.architecture")))
    return family_template(architecture.template if architecture else None, tokens, bos, eos)


def family_template(name: str | None, tokens: Sequence[str], bos: str, eos: str) -> ChatTemplate:
    """The documented template of a family, which is the one named, or told by a marker among the tokens."""
    name = name or next((name for marker, name in MARKERS if marker in tokens), "llama2")
    source = files("llmlora.data").joinpath(f"templates/{name}.jinja").read_text("utf-8")
    return ChatTemplate(source, "family", name, bos, eos)
