"""The writer copies byte for byte, writes what gguf-py reads, and leaves nothing half-written."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gguf import GGUFReader
from llmlora import files
from llmlora.errors import DiskFull
from llmlora.ggml import BY_NAME
from llmlora.gguf.reader import ARRAY, BOOL, FLOAT32, STRING, UINT32, GgufFile
from llmlora.gguf.writer import TensorPlan, copy_metadata, copy_tensor, write_gguf
from tests.gguf.hostile import array, gguf, key, text, u32


@pytest.mark.parametrize("sample", ["smollm2_path", "gemma3_path"])
def test_a_copy_of_a_real_file_is_the_same_file(sample: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source, copy = request.getfixturevalue(sample), tmp_path / "copy.gguf"

    with GgufFile(source) as file:
        plans = [copy_tensor(file, name) for name in file.tensors]
        write_gguf(copy, copy_metadata(file), plans, file.alignment)
        del plans

    assert copy.stat().st_size == source.stat().st_size
    assert np.array_equal(np.memmap(copy), np.memmap(source))


def test_what_is_written_is_what_gguf_py_reads(tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    weights = np.arange(24, dtype=np.float32).reshape(3, 8)
    metadata = [
        ("general.architecture", STRING, "llama"),
        ("general.file_type", UINT32, 7),
        ("adapter.lora.alpha", FLOAT32, 16.0),
        ("tokenizer.ggml.add_bos_token", BOOL, True),
        ("general.tags", ARRAY, array(8, 2, text("a") + text("日本"))),
    ]
    half = TensorPlan("half", BY_NAME["F16"], (2, 1, 5), lambda: np.ones((2, 1, 5), np.float16))

    write_gguf(path, metadata, [TensorPlan("w", BY_NAME["F32"], (3, 8), lambda: weights), half])

    oracle = GGUFReader(path)
    found = {name: field.contents() for name, field in oracle.fields.items() if not name.startswith("GGUF.")}
    assert list(found.values()) == ["llama", 7, 16.0, True, ["a", "日本"]]
    assert oracle.tensors[0].data.tolist() == weights.tolist()
    assert oracle.tensors[1].data.shape == (2, 1, 5)


def test_tokens_that_are_not_utf8_survive_a_copy(tmp_path: Path) -> None:
    source, copy = tmp_path / "source.gguf", tmp_path / "copy.gguf"
    odd = key("tokens", 9, array(8, 2, text(b"\xff\x00\xe3") + text("")))
    source.write_bytes(
        gguf((odd, key(b"\xfe", 8, text(b"\xfd")), key("general.alignment", 4, u32(128))), alignment=128)
    )

    with GgufFile(source) as file:
        write_gguf(copy, copy_metadata(file), [], file.alignment)

    assert copy.read_bytes() == source.read_bytes()


def test_the_alignment_must_be_the_stated_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must say 64"):
        write_gguf(tmp_path / "a", [], [], alignment=64)
    with pytest.raises(ValueError, match="must say 32"):
        write_gguf(tmp_path / "a", [("general.alignment", UINT32, 64)], [])

    assert list(tmp_path.iterdir()) == []


def test_data_of_another_length_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"old")

    with pytest.raises(ValueError, match="w has 4 bytes of data, its shape needs 32"):
        write_gguf(path, [], [TensorPlan("w", BY_NAME["F32"], (8,), lambda: b"1234")])

    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gguf"]
    assert path.read_bytes() == b"old"


def test_one_tensor_is_made_at_a_time(tmp_path: Path) -> None:
    made: list[str] = []

    def plan(name: str) -> TensorPlan:
        def data() -> bytes:
            made.append(name)
            return bytes(32)

        return TensorPlan(name, BY_NAME["F32"], (8,), data)

    plans = [plan("a"), plan("b")]
    assert made == []
    write_gguf(tmp_path / "model.gguf", [], plans)

    assert made == ["a", "b"]


def test_a_disk_too_small_is_said_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * 2**20))
    plan = TensorPlan("w", BY_NAME["F32"], (2**10, 2**12), lambda: pytest.fail("data was made"))

    with pytest.raises(DiskFull) as caught:
        write_gguf(tmp_path / "model.gguf", [], [plan])

    assert (caught.value.needed_mb, caught.value.free_mb) == (17, 5)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)

    with pytest.raises(DiskFull):
        write_gguf(tmp_path / "model.gguf", [], [])

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_write_error_of_the_system_is_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = tmp_path / ".model.gguf.0.part"
    staged.symlink_to("/dev/full")
    real = Path.open
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "0")
    monkeypatch.setattr(Path, "open", lambda path, mode: real(path, "wb" if path == staged else mode))

    with pytest.raises(DiskFull):
        write_gguf(tmp_path / "model.gguf", [], [TensorPlan("w", BY_NAME["F32"], (2**16,), lambda: bytes(2**18))])

    assert not os.path.lexists(staged)
