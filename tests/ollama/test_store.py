"""A store is read as it is, and nothing in it is believed before it has been checked."""

import ast
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmlora
from llmlora.errors import DigestMismatch, NotTrainable, StoreUnreadable
from llmlora.ollama import store as module
from llmlora.ollama.digest import blob_path, is_digest
from llmlora.ollama.names import Name
from llmlora.ollama.store import StoredModel, find, names
from tests.ollama_store import OllamaStore

LLAMA = "registry.ollama.ai/library/llama3.2/1b"


@pytest.fixture
def store(tmp_path: Path) -> OllamaStore:
    return OllamaStore(tmp_path / "models")


def found(store: OllamaStore, text: str = "llama3.2:1b") -> StoredModel:
    name = Name.parse(text)
    assert name
    model = find(name, [store.root])
    assert model
    return model


def test_the_models_of_a_store_are_listed_in_order(store: OllamaStore) -> None:
    store.add(LLAMA, b"weights")
    store.add("hf.co/user/Repo-GGUF/Q4_K_M", b"weights")
    store.add("registry.ollama.ai/me/mine/latest", b"weights")
    store.write("registry.ollama.ai/library/.hidden/latest", b"{}")
    store.write("stray", b"{}")
    (store.root / "manifests" / "registry.ollama.ai" / "library" / "folder" / "latest").mkdir(parents=True)

    assert [str(name) for name in names(store.root)] == [
        "hf.co/user/Repo-GGUF:Q4_K_M",
        "llama3.2:1b",
        "me/mine:latest",
    ]


def test_no_store_means_no_names(tmp_path: Path) -> None:
    assert names(tmp_path / "nothing") == []
    (tmp_path / "manifests").write_text("a file")
    assert names(tmp_path) == []


def test_a_model_is_its_blob_and_its_words(store: OllamaStore) -> None:
    store.add(
        LLAMA, b"weights", license=b"\n  LLAMA 3.2 LICENSE\nmore", template=b"{{ .Prompt }}", params=b'{"stop":[]}'
    )

    model = found(store)
    path, digest = model.gguf()

    assert path.read_bytes() == b"weights"
    assert path.name == digest.replace(":", "-")
    assert model.license() == "LLAMA 3.2 LICENSE"
    assert model.template() == "{{ .Prompt }}"
    assert model.params() == '{"stop":[]}'


def test_words_that_are_missing_stop_nobody(store: OllamaStore) -> None:
    store.add(LLAMA, b"weights", license=b"MIT")
    model = found(store)
    for layer in (model.manifest.layers[1], model.manifest.config):
        blob_path(store.root, layer.digest).unlink()

    assert model.license() is None
    assert model.template() is None
    assert model.gguf()[0].read_bytes() == b"weights"


def test_the_first_store_that_has_a_model_wins(store: OllamaStore, tmp_path: Path) -> None:
    other = OllamaStore(tmp_path / "other")
    other.add(LLAMA, b"other weights")
    name = Name.parse("Llama3.2:1B")  # letter case does not count
    assert name

    model = find(name, [tmp_path / "nothing", store.root, other.root])

    assert model
    assert model.gguf()[0].read_bytes() == b"other weights"
    assert find(name, [store.root]) is None


@pytest.mark.parametrize(
    ("reason", "config", "kinds"),
    [
        ("runs at https://ollama.com", {"remote_host": "https://ollama.com", "remote_model": "big"}, ()),
        ("stored as safetensors", {"model_format": "safetensors"}, ("tensor", "tensor")),
        ("already carries a LoRA adapter", {"model_format": "gguf"}, ("model", "adapter")),
        ("split over 2 files", {"model_format": "gguf"}, ("model", "model")),
        ("has no GGUF file", {"model_format": "gguf"}, ("license",)),
        ("config is damaged", {"model_format": 7}, ("model",)),
        ("config is damaged", ["remote_host"], ("model",)),
    ],
)
def test_what_is_not_one_gguf_file_is_refused(
    store: OllamaStore, reason: str, config: dict, kinds: tuple[str, ...]
) -> None:
    layers = [store.layer(kind, f"{kind} {number}".encode()) for number, kind in enumerate(kinds)]
    store.write(LLAMA, store.manifest(layers, config))

    with pytest.raises(NotTrainable, match=reason) as caught:
        found(store).gguf()

    assert caught.value.name == "llama3.2:1b"


HOSTILE = {
    "not JSON": b"\x00\xff",
    "empty": b"",
    "a list": b"[]",
    "deeply nested": b"[" * 100_000,
    "no config": b'{"layers": []}',
    "layers of text": b'{"config": {"mediaType": "", "digest": "", "size": 0}, "layers": "model"}',
    "over a megabyte": b" " * (2**20 + 1),
    "a negative size": b'{"config": {"mediaType": "", "digest": "", "size": -1}, "layers": []}',
    "a huge size": b'{"config": {"mediaType": "", "digest": "", "size": 1e999}, "layers": []}',
    "half a character": b'{"config": {"mediaType": "\\ud800", "digest": "", "size": 0}, "layers": []}',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_damaged_manifest_is_said_to_be_damaged(store: OllamaStore, what: str) -> None:
    store.write(LLAMA, HOSTILE[what])

    with pytest.raises(NotTrainable, match="its manifest is damaged") as caught:
        found(store)

    assert len(str(caught.value.reason)) < 300


NO_DIGESTS = [
    "",
    "../../../etc/passwd",
    "sha256:../../../../etc/passwd",
    f"sha256:{'A' * 64}",
    f"sha256:{'a' * 63}",
    f"sha256-{'a' * 64}",
    f"sha256:{'a' * 64}\n",
    f"sha256:{'a' * 63}\0",
    f"md5:{'a' * 64}",
]


@pytest.mark.parametrize("digest", NO_DIGESTS)
def test_what_is_not_a_digest_never_becomes_a_path(store: OllamaStore, digest: str) -> None:
    manifest = store.manifest([store.layer("model", b"weights")], {})
    manifest["layers"][0]["digest"] = digest
    store.write(LLAMA, manifest)

    assert not is_digest(digest)
    with pytest.raises(NotTrainable, match="a digest is not a digest"):
        found(store)
    with pytest.raises(ValueError, match="not a digest"):
        blob_path(store.root, digest)


@given(st.text(max_size=80))
def test_no_text_but_a_digest_is_a_digest(text: str) -> None:
    assert not is_digest(text)


def test_a_link_out_of_the_store_is_not_followed(store: OllamaStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"weights")
    store.add(LLAMA, b"weights")
    blob = found(store).gguf()[0]
    blob.unlink()
    blob.symlink_to(secret)

    with pytest.raises(NotTrainable, match="a link that leaves the store"):
        found(store).gguf()


def test_a_link_inside_the_store_is_followed(store: OllamaStore, tmp_path: Path) -> None:
    store.add(LLAMA, b"weights")
    blob = found(store).gguf()[0]
    blob.rename(store.root / "elsewhere")
    blob.symlink_to(store.root / "elsewhere")
    (tmp_path / "alias").symlink_to(store.root)
    store.root = tmp_path / "alias"

    assert found(store).gguf()[0].read_bytes() == b"weights"


def test_a_blob_must_be_a_regular_file_of_the_stated_size(store: OllamaStore) -> None:
    store.add(LLAMA, b"weights")
    blob = found(store).gguf()[0]

    blob.write_bytes(b"weigh")
    with pytest.raises(DigestMismatch) as caught:
        found(store).gguf()
    assert (caught.value.expected, caught.value.found) == ("7 bytes", "5 bytes")

    blob.unlink()
    with pytest.raises(NotTrainable, match="missing from the store; pull it again"):
        found(store).gguf()

    os.mkfifo(blob)
    with pytest.raises(NotTrainable, match="not a regular file"):
        found(store).gguf()


def test_a_store_that_may_not_be_read_is_an_error_of_its_own(
    store: OllamaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable = OllamaStore(tmp_path / "readable")
    readable.add(LLAMA, b"weights")
    scandir = os.scandir

    def guarded(path: Path) -> object:
        if Path(path).is_relative_to(store.root):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(module.os, "scandir", guarded)
    here, gone = Name.parse("llama3.2:1b"), Name.parse("gone")
    assert here
    assert gone

    with pytest.raises(StoreUnreadable) as caught:
        names(store.root)
    assert caught.value.path == store.root
    assert find(here, [store.root, readable.root]) is not None
    with pytest.raises(StoreUnreadable):
        find(gone, [store.root, readable.root])


def test_nothing_else_makes_a_path_of_a_digest() -> None:
    package = Path(llmlora.__file__).parent
    sources = {path: path.read_text("utf-8") for path in package.rglob("*.py")}

    places = {
        path.name
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and node.value == "blobs"
    }

    assert places == {"digest.py"}
