"""The tokenizers of both samples, built once."""

from pathlib import Path

import pytest

from llmlora.data.tokenizer import Tokenizer, load_tokenizer
from llmlora.gguf.reader import GgufFile


@pytest.fixture(scope="session")
def smollm2(smollm2_path: Path) -> Tokenizer:
    with GgufFile(smollm2_path) as file:
        return load_tokenizer(file)


@pytest.fixture(scope="session")
def gemma3(gemma3_path: Path) -> Tokenizer:
    with GgufFile(gemma3_path) as file:
        return load_tokenizer(file)
