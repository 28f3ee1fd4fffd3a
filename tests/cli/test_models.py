"""`llmlora models` prints facts for people and one JSON document for machines."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmlora.cli import models
from llmlora.cli.models import command, readable_count, readable_size
from llmlora.errors import ModelNotFound, StoreUnreadable
from llmlora.text.catalogue import catalogue
from tests.ollama_store import OllamaStore
from tests.tiny import VOCABULARY, tiny_gguf


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OllamaStore:
    monkeypatch.setattr("llmlora.model.source.SAMPLES", {})
    store = OllamaStore(tmp_path / "models")
    store.add("registry.ollama.ai/library/tiny/latest", tiny_gguf(tmp_path / "t").read_bytes(), license=b"[red]MIT")
    store.add("registry.ollama.ai/library/qwen/7b", tiny_gguf(tmp_path / "q", "bloom").read_bytes())
    store.add("registry.ollama.ai/library/broken/latest", b"GGUF\3\0\0\0")
    monkeypatch.setenv("OLLAMA_MODELS", str(store.root))
    return store


def test_the_list_says_what_can_be_trained(store: OllamaStore) -> None:
    result = CliRunner().invoke(command, ["list"], catch_exceptions=False)

    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["ollama:tiny:latest"].rstrip().endswith("yes")
    assert "no, because the architecture “bloom” cannot be trained yet" in lines["ollama:qwen:7b"]
    assert "no, because" in lines["ollama:broken:latest"]


def test_the_list_as_json_is_one_document(store: OllamaStore) -> None:
    result = CliRunner().invoke(command, ["list", "--json"], catch_exceptions=False)

    found = {one["name"]: one for one in json.loads(result.stdout)}
    assert list(found) == ["ollama:broken:latest", "ollama:qwen:7b", "ollama:tiny:latest"]
    assert found["ollama:tiny:latest"]["trainable"] is True
    assert "bloom" in found["ollama:qwen:7b"]["reason"]
    assert found["ollama:broken:latest"]["architecture"] is None


def test_show_tells_every_fact(store: OllamaStore) -> None:
    result = CliRunner().invoke(command, ["show", "tiny"], catch_exceptions=False)

    assert result.exit_code == 0
    for words in (
        "ollama:tiny:latest",
        "sha256:",
        "llama",
        "512",
        f"gpt2 / gpt-2, {VOCABULARY} tokens",
        "Q8_0 × 15",
        "F32 × 5",
        "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
    ):
        assert words in result.stdout
    assert "[red]MIT" in result.stdout  # printed, not obeyed
    assert "from the model" in result.stdout


def test_show_as_json_is_one_document(store: OllamaStore) -> None:
    result = CliRunner().invoke(command, ["show", "ollama:tiny", "--json"], catch_exceptions=False)

    assert json.loads(result.stdout)["license"] == "[red]MIT"


def test_japanese_is_spoken_when_asked_for(store: OllamaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMLORA_LANG", "ja")

    result = CliRunner().invoke(command, ["list"], catch_exceptions=False)

    assert "できる" in result.stdout
    assert "アーキテクチャ「bloom」はまだ学習できません" in result.stdout


def test_an_unknown_model_is_an_error(store: OllamaStore) -> None:
    result = CliRunner().invoke(command, ["show", "nope"])

    assert isinstance(result.exception, ModelNotFound)
    assert result.stdout == ""


def test_a_store_that_may_not_be_read_is_said_aside(store: OllamaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise StoreUnreadable(path)

    monkeypatch.setattr(models, "names", refuse)

    result = CliRunner().invoke(command, ["list", "--json"], catch_exceptions=False)

    assert "may not be read" in result.stderr
    assert len(json.loads(result.stdout)) == 3


def test_sizes_and_counts_are_readable() -> None:
    assert [readable_size(size) for size in (None, 500, 98_362_432, 2_019_377_376)] == ["–", "1 MB", "98 MB", "2.0 GB"]
    assert [readable_count(count) for count in (None, 134_515_008, 1_235_814_400)] == ["–", "135M", "1.2B"]
    assert readable_count(31_000) == "0.031M"


def test_both_languages_have_the_same_words() -> None:
    assert catalogue("en")["models"].keys() == catalogue("ja")["models"].keys()


def test_show_tells_how_ollama_writes_the_prompts(store: OllamaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    weights = next(path for path in (store.root / "blobs").iterdir() if path.stat().st_size > 10_000).read_bytes()
    store.add("registry.ollama.ai/library/go/latest", weights, template=b"{{ .Prompt }}")

    shown = CliRunner().invoke(command, ["show", "go"], catch_exceptions=False).stdout
    doubtful = CliRunner().invoke(command, ["show", "tiny"], catch_exceptions=False).stdout
    as_json = json.loads(CliRunner().invoke(command, ["show", "go", "--json"], catch_exceptions=False).stdout)

    assert "the Go template of the model" in shown
    assert "before: no template" in doubtful
    assert as_json["rendering"] == {"kind": "go", "source": "{{ .Prompt }}", "doubt": None}
