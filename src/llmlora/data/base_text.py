"""The chat template and the tokenizer of a base, whichever form it has. No torch."""

from pathlib import Path

from llmlora.data.hf_text import read_hf_template, read_hf_tokenizer
from llmlora.data.template import ChatTemplate, choose_template
from llmlora.data.tokenizer import Tokenizer, load_tokenizer
from llmlora.gguf.reader import GgufFile


def template_and_tokenizer(path: Path) -> tuple[ChatTemplate, Tokenizer]:
    """Of a GGUF file, or of a Hugging Face directory.

    Raises:
        GgufError, HfError: its tokenizer is malformed.
        NotTrainable: one that would only be guessed at.
    """
    if path.is_dir():
        return read_hf_template(path), read_hf_tokenizer(path)
    with GgufFile(path) as file:
        return choose_template(file), load_tokenizer(file)
