"""Names are read as Ollama reads them, and none of them leads out of the store."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlora.ollama.names import Name


@pytest.mark.parametrize(
    ("text", "parts", "shown"),
    [
        ("llama3.2", ("registry.ollama.ai", "library", "llama3.2", "latest"), "llama3.2:latest"),
        ("llama3.2:1b", ("registry.ollama.ai", "library", "llama3.2", "1b"), "llama3.2:1b"),
        ("me/mine", ("registry.ollama.ai", "me", "mine", "latest"), "me/mine:latest"),
        ("hf.co/u/Repo-GGUF:Q4_K_M", ("hf.co", "u", "Repo-GGUF", "Q4_K_M"), "hf.co/u/Repo-GGUF:Q4_K_M"),
        ("host:5000/ns/m:t", ("host:5000", "ns", "m", "t"), "host:5000/ns/m:t"),
        ("http://host/ns/m", ("host", "ns", "m", "latest"), "host/ns/m:latest"),
        ("registry.ollama.ai/library/a:b", ("registry.ollama.ai", "library", "a", "b"), "a:b"),
        ("Registry.Ollama.AI/Library/a:b", ("Registry.Ollama.AI", "Library", "a", "b"), "a:b"),
    ],
)
def test_a_name_is_completed_and_shown_at_its_shortest(text: str, parts: tuple[str, ...], shown: str) -> None:
    name = Name.parse(text)

    assert name is not None
    assert (name.host, name.namespace, name.model, name.tag) == parts
    assert str(name) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "/",
        "m:",
        ":t",
        "a:b:c",
        "a//b",
        "..",
        "../m",
        "a/../m",
        "m:..",
        ".hidden",
        "-m",
        "a.b/m",
        "a/b/c/d",
        "モデル",
        "m:日本",
        "m\x00",
        "m\n",
        "a b",
        "m\\..",
        "~/m",
        "x" * 81,
        "m:" + "x" * 81,
        "%2e%2e/m",
    ],
)
def test_what_ollama_refuses_is_no_name(text: str) -> None:
    assert Name.parse(text) is None


@given(st.text(alphabet=st.sampled_from("ab.:/-_~\\\0é% "), max_size=12))
def test_the_parts_of_any_name_are_plain_path_parts(text: str) -> None:
    name = Name.parse(text)

    if name:
        parts = (name.host, name.namespace, name.model, name.tag)
        assert PurePosixPath(*parts).parts == parts
        assert not {".", ".."} & set(parts)


def test_letter_case_does_not_distinguish_models() -> None:
    assert Name("h", "n", "Model", "Q4").same(Name("H", "N", "model", "q4"))
    assert not Name("h", "n", "model", "q4").same(Name("h", "n", "model", "q5"))
