"""The tables of the documentation are those of the code, and what a row promises is tested."""

import runpy
from pathlib import Path

import pytest

from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.gguf.architectures import ARCHITECTURES
from llmlora.kernels.types import SUPPORTED
from tests.test_architectures import CASES

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", ["models.md", "models.en.md"])
def test_the_page_is_what_the_code_says(name: str):
    page = runpy.run_path(str(DOCS / "models_page.py"))["page"]

    text = (DOCS / name).read_text("utf-8")

    assert text == page(name)
    for promised in (*ARCHITECTURES, *SUPPORTED, *HF_ARCHITECTURES):
        assert f"\n| `{promised}` |" in text or f"\n| {promised} |" in text


def test_every_row_is_held_against_llama_cpp():
    assert {case.architecture for case in CASES if case.name == "plain"} == set(ARCHITECTURES)
