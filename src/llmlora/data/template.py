"""Which chat template a model's prompts are written with."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from llmlora.gguf.reader import GgufFile

TEMPLATE_KEY = "tokenizer.chat_template"
# for llama files without a template: the marker token that gives a family away
LLAMA_MARKERS = (("<|im_start|>", "chatml"), ("<|start_header_id|>", "llama3"))


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template and what it may mention."""

    source: str
    origin: Literal["model", "family"]
    name: str
    bos: str
    eos: str


def choose_template(file: GgufFile) -> ChatTemplate:
    """The model's own template, or the documented one of its family when it has none."""
    tokens = file.metadata.get("tokenizer.ggml.tokens", [])

    def token(key: str) -> str:
        number = file.metadata.get(f"tokenizer.ggml.{key}")
        return tokens[number] if number is not None and number < len(tokens) else ""

    bos, eos = token("bos_token_id"), token("eos_token_id")
    own = file.metadata.get(TEMPLATE_KEY)
    if own:
        return ChatTemplate(str(own), "model", "model", bos, eos)
    name = _family(str(file.metadata.get("general.architecture")), tokens)
    source = files("llmlora.data").joinpath(f"templates/{name}.jinja").read_text("utf-8")
    return ChatTemplate(source, "family", name, bos, eos)


def _family(architecture: str, tokens: list[str]) -> str:
    if architecture.startswith("gemma"):
        return "gemma"
    return next((name for marker, name in LLAMA_MARKERS if marker in tokens), "llama2")
