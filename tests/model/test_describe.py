"""What a header says is told, and why a base cannot be trained is said in the words of the error it would raise."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gguf
from llmlora.errors import GgufError, NotTrainable, SampleMissing, UnsupportedArchitecture, UnsupportedTensorType
from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import STRING, UINT32, GgufFile
from llmlora.gguf.writer import KeyValue, TensorPlan, copy_metadata, copy_tensor, write_gguf
from llmlora.model.describe import Description, describe, describe_all
from llmlora.model.source import Base, Sample, resolve
from llmlora.paths import Home
from tests.ollama_store import OllamaStore
from tests.tiny import LAYERS, VOCABULARY, tiny_gguf


def described(path: Path, licence: str | None = None) -> Description:
    return describe(Base("gguf:tiny", path, "sha256:" + "0" * 64, licence))


def changed(
    path: Path, keys: tuple[KeyValue, ...] = (), drop: tuple[str, ...] = (), add: tuple[TensorPlan, ...] = ()
) -> Path:
    """A copy of a tiny model with other keys, fewer keys and tensors, and more tensors."""
    new = {key: (key, kind, value) for key, kind, value in keys}
    with GgufFile(tiny_gguf(path.with_suffix(".tiny"))) as file:
        kept = [pair for pair in copy_metadata(file) if pair[0] not in drop and pair[0] not in new]
        plans = [copy_tensor(file, name) for name in file.tensors if name not in drop]
        write_gguf(path, [*kept, *new.values()], [*plans, *add])
        del plans
    return path


def test_a_sample_is_described(sample_home: Home, smollm2_path: Path) -> None:
    found = describe(resolve("sample:smollm2-135m", sample_home, ()))

    assert found.trainable
    assert found.architecture == "llama"
    assert found.parameters == 134_515_008
    assert [(kind.type, kind.tensors) for kind in found.tensor_types] == [("Q4_1", 210), ("Q8_0", 1), ("F32", 61)]
    assert found.context_length == 8192
    assert found.license == "Apache-2.0"
    assert found.chat_template == "model"
    assert found.tokenizer
    assert (found.tokenizer.model, found.tokenizer.pre, found.tokenizer.vocabulary) == ("gpt2", "smollm", 49_152)


def test_a_base_model_takes_the_template_of_its_family(tmp_path: Path) -> None:
    assert described(tiny_gguf(tmp_path / "g", "gemma3", template=None)).chat_template == "family: gemma"
    assert described(tiny_gguf(tmp_path / "l", "llama", template=None)).chat_template == "family: chatml"
    assert described(tiny_gguf(tmp_path / "t", "gemma3")).chat_template == "model"


def test_every_fact_is_json(tmp_path: Path) -> None:
    found = described(tiny_gguf(tmp_path / "tiny"))

    facts = json.loads(json.dumps(found.to_json()))

    assert facts["trainable"] is True
    assert facts["reason"] is None
    assert facts["size"] == (tmp_path / "tiny").stat().st_size
    assert facts["tokenizer"]["vocabulary"] == VOCABULARY
    assert sum(kind["tensors"] for kind in facts["tensor_types"]) == 2 + 9 * LAYERS


def test_the_licence_is_the_sources_or_else_the_files(tmp_path: Path) -> None:
    path = changed(tmp_path / "m", (("general.license", STRING, "mit\x1b[31m\udcff"),))

    assert described(path, "Apache-2.0").license == "Apache-2.0"
    assert described(path).license == "mit[31m"  # nothing that a terminal would obey


def vision(name: str) -> TensorPlan:
    return TensorPlan(name, BY_NAME["F32"], (4,), lambda: np.zeros(4, np.float32))


def odd(name: str) -> TensorPlan:
    return TensorPlan(name, BY_NAME["IQ3_S"], (2, 256), lambda: bytes(220))


REFUSED: list[tuple[str, type, str, dict[str, Any]]] = [
    ("architecture", UnsupportedArchitecture, "bloom", {"keys": (("general.architecture", STRING, "bloom"),)}),
    ("no architecture", UnsupportedArchitecture, "none", {"drop": ("general.architecture",)}),
    ("number", UnsupportedArchitecture, "none", {"keys": (("general.architecture", UINT32, 7),)}),
    ("adapter", NotTrainable, "of type adapter", {"keys": (("general.type", STRING, "adapter"),)}),
    ("experts", NotTrainable, "mixture-of-experts", {"keys": (("llama.expert_count", UINT32, 8),)}),
    ("split", NotTrainable, "one part of a split model", {"keys": (("split.count", UINT32, 3),)}),
    ("vision", NotTrainable, "sees or hears", {"add": (vision("v.patch_embd.weight"),)}),
    ("tokenizer", NotTrainable, "no tokenizer", {"drop": ("tokenizer.ggml.tokens",)}),
    ("no layers", GgufError, "block_count", {"drop": ("llama.block_count",)}),
    ("2^32-1 layers", GgufError, "block_count", {"keys": (("llama.block_count", UINT32, 2**32 - 1),)}),
    ("no heads", GgufError, "head_count is missing or not a number", {"drop": ("llama.attention.head_count",)}),
    (
        "a layer too many",
        GgufError,
        "blk.2.attn_q.weight is missing, and 8 more",
        {"keys": (("llama.block_count", UINT32, 3),)},
    ),
    ("a tensor", GgufError, "tensor output_norm.weight is missing", {"drop": ("output_norm.weight",)}),
    (
        "a tensor too many",
        NotTrainable,
        "blk.0.attn_q.scale is not one that llama is known",
        {"add": (vision("blk.0.attn_q.scale"),)},
    ),
    ("type", UnsupportedTensorType, "IQ3_S", {"add": (odd("blk.0.attn_q.weight"),), "drop": ("blk.0.attn_q.weight",)}),
]


@pytest.mark.parametrize(("kind", "words", "change"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_trained_says_why(kind: type, words: str, change: dict[str, Any], tmp_path: Path) -> None:
    found = described(changed(tmp_path / "m", **change))

    assert not found.trainable
    assert type(found.obstacle) is kind
    assert found.reason
    assert words in found.reason
    assert found.to_json()["trainable"] is False


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_lying_header_is_described_all_the_same(header: tuple[bytes, Path], changes: list) -> None:
    content, path = bytearray(header[0]), header[1]
    end = content.index(b"token_embd.weight")  # the lies are in the metadata, where most of them are believed
    for where, byte in changes:
        content[int(where * end)] = byte
    path.write_bytes(content)

    json.dumps(described(path).to_json())


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    folder = tmp_path_factory.mktemp("lies")
    return tiny_gguf(folder / "tiny", template=None).read_bytes(), folder / "mutant"


def test_every_supported_type_is_trainable(tmp_path: Path) -> None:
    for kind in ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"):
        path = tiny_gguf(tmp_path / kind, kind=gguf.GGMLQuantizationType[kind])
        assert described(path).trainable, kind


@pytest.fixture
def no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Sample("a", "sha256:0", "MIT", ("a==1",), (("no_such_module", "a"),))
    monkeypatch.setattr("llmlora.model.source.SAMPLES", {"absent": absent})


def test_one_broken_model_does_not_break_the_list(tmp_path: Path, no_samples: None) -> None:
    store = OllamaStore(tmp_path / "models")
    store.add("registry.ollama.ai/library/good/latest", tiny_gguf(tmp_path / "tiny").read_bytes())
    store.add("registry.ollama.ai/library/broken/latest", b"GGUF\3\0\0\0")
    store.write("registry.ollama.ai/library/damaged/latest", b"not json")
    store.write("registry.ollama.ai/library/cloud/latest", store.manifest([], {"remote_host": "ollama.com"}))

    found = {one.name: one for one in describe_all(Home(tmp_path / "home"), [store.root])}

    assert found["ollama:good:latest"].trainable
    reasons = {name: one.reason or "" for name, one in found.items() if not one.trainable}
    assert isinstance(found["sample:absent"].obstacle, SampleMissing)
    assert "is not installed" in reasons["sample:absent"]
    assert "cut off" in reasons["ollama:broken:latest"]
    assert "manifest is damaged" in reasons["ollama:damaged:latest"]
    assert "no weights here" in reasons["ollama:cloud:latest"]
