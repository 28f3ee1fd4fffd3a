"""The reader agrees with gguf-py on sound files, and refuses all others quickly, in little memory, in plain words."""

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from llmlora.errors import GgufError
from llmlora.gguf.reader import MAX_HEADER_BYTES, MAX_STRINGS, ArraySpan, GgufFile
from tests.gguf.hostile import LOOKALIKES, MALFORMED, MB, array, gguf, key, tensor, text, u32

SMALL_SECONDS, SMALL_KIB = 0.05, 20 * 1024
ANY_SECONDS, ANY_KIB = 1.0, 100 * 1024


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_file_is_refused_in_plain_words(what: str, tmp_path: Path) -> None:
    words, content = MALFORMED[what]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)

    with pytest.raises(GgufError) as caught:
        GgufFile(path)

    assert words in caught.value.problem
    assert len(caught.value.problem) < 1_500


@pytest.mark.parametrize("what", LOOKALIKES)
def test_a_file_of_another_kind_is_named(what: str, tmp_path: Path) -> None:
    words, content = LOOKALIKES[what]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)

    with pytest.raises(GgufError, match=words):
        GgufFile(path)


def test_small_malformed_files_cost_little_time_and_memory(tmp_path: Path) -> None:
    paths = []
    for number, (_, content) in enumerate(MALFORMED.values()):
        assert len(content) <= MB * 1.05
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(content)

    costs = measure(paths)

    assert {outcome for outcome, _, _ in costs} == {"refused"}
    assert max(seconds for _, seconds, _ in costs) < SMALL_SECONDS
    assert max(kib for _, _, kib in costs) < SMALL_KIB


def test_large_malformed_files_cost_little_too(tmp_path: Path) -> None:
    vocabulary = array(8, MAX_STRINGS, bytes(8 * MAX_STRINGS))
    tokens = array(8, MAX_STRINGS // 2, b"\1\0\0\0\0\0\0\0t" * (MAX_STRINGS // 2))
    strings = gguf((key("a", 9, tokens), key("b", 9, tokens)), n_keys=4)
    rows = tuple(tensor(f"a.tensor.with.a.long.name.{n:0200}", (1,), 24, n * 32) for n in range(65_535))
    contents = {
        "two million empty strings, then the end": gguf((key("k", 9, vocabulary),), n_keys=3),
        "strings in two arrays": strings,
        "65,536 tensors, the last one lying": gguf((), (*rows, tensor("z", kind=99)), data=bytes(65_536 * 32)),
        "three million strings": gguf((key("k", 9, array(8, 3 * 10**6, bytes(24 * 10**6))),)),
        "long strings": gguf((key("k", 9, array(8, 2**20, text(bytes(4_088)) * 2**14)),)),
    }
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
        os.truncate(path, max(len(content), 2**30))  # a gigabyte of zeros follows, on paper
    paths.append(tmp_path / "many long values")
    with paths[-1].open("wb") as file:
        file.write(gguf(n_keys=4_096)[:24])
        for number in range(1_000):
            file.write(text(f"{number}") + u32(8) + struct.pack("<Q", MB))
            file.seek(MB, os.SEEK_CUR)
        file.truncate(4 * 2**30)

    costs = measure(paths)

    assert {outcome for outcome, _, _ in costs} == {"refused"}
    assert max(seconds for _, seconds, _ in costs) < ANY_SECONDS
    assert max(kib for _, _, kib in costs) < ANY_KIB


def test_a_header_longer_than_the_cap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf((key("k", 9, array(0, MAX_HEADER_BYTES)),)))
    os.truncate(path, 2 * MAX_HEADER_BYTES)

    with pytest.raises(GgufError, match="header is longer"):
        GgufFile(path)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(GgufError, match="not a regular file"):
        GgufFile(pipe)
    with pytest.raises(GgufError, match="not a regular file"):
        GgufFile(Path("/dev/zero"))
    with pytest.raises(GgufError, match="directory"):
        GgufFile(tmp_path)
    with pytest.raises(GgufError, match="No such file"):
        GgufFile(tmp_path / "missing")
    with pytest.raises(GgufError, match="null byte"):
        GgufFile(tmp_path / "a\0b")


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(sound_file(tmp_path))
    link = tmp_path / "link"
    link.symlink_to("real")

    with GgufFile(link) as file:
        assert file.metadata["general.name"] == "日本"


def test_values_are_decoded_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(
        gguf(
            (
                key("words", 9, array(8, 2, text("a") + text(b"\xff\xfe"))),
                key("truths", 9, array(7, 3, b"\0\1\2")),
                key("halves", 9, array(6, 2, struct.pack("<2f", 0.5, 1.5))),
                key("nul\0key", 8, text("a\0b")),
                key("minus", 11, struct.pack("<q", -1)),
            )
        )
    )

    with GgufFile(path) as file:
        assert file.metadata["words"] == ["a", "\udcff\udcfe"]
        assert file.metadata["truths"].tolist() == [False, True, True]
        assert file.metadata["halves"].tolist() == [0.5, 1.5]
        assert file.metadata["nul\0key"] == "a\0b"
        assert file.metadata["minus"] == -1
        assert file.metadata.length("words") == 2
        assert file.metadata.length("minus") == 1
        assert isinstance(file.metadata.raw("words"), ArraySpan)


def test_arrays_stay_readable_when_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(sound_file(tmp_path))

    with GgufFile(path) as file:
        packed = file.packed("norm")

    assert packed.view(np.float32).tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]


@pytest.mark.parametrize("sample", ["smollm2_path", "gemma3_path"])
def test_a_real_file_reads_as_gguf_py_reads_it(
    sample: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(sample)
    monkeypatch.setattr(np, "memmap", lambda path, mode: np.fromfile(path, np.uint8))  # four times as fast
    oracle = GGUFReader(path)

    with GgufFile(path) as file:
        assert_same(file, oracle)


def test_a_written_file_reads_as_gguf_py_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(sound_file(tmp_path))
    oracle = GGUFReader(path)

    with GgufFile(path) as file:
        assert_same(file, oracle)
        assert file.alignment == 64


def test_a_real_vocabulary_is_indexed_in_a_tenth_of_a_second(gemma3_path: Path) -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        with GgufFile(gemma3_path) as file:
            assert file.metadata.length("tokenizer.ggml.tokens") == 262_144
        seconds.append(time.perf_counter() - start)

    assert min(seconds) < 0.1


@pytest.fixture(scope="module")
def mutable(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    folder = tmp_path_factory.mktemp("fuzz")
    return sound_file(folder), folder / "mutant.gguf"


flips = st.tuples(st.just("flip"), st.integers(0, 10**6), st.integers(0, 7))
extremes = st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**40, 2**64 - 1])
numbers = st.tuples(st.just("number"), st.integers(0, 10**6), extremes)
cuts = st.tuples(st.just("cut"), st.integers(0, 10**6), st.just(0))
splices = st.tuples(st.just("splice"), st.integers(0, 10**6), st.integers(0, 10**6))


@settings(max_examples=800, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(flips, numbers, cuts, splices), min_size=1, max_size=4))
def test_a_mutant_is_read_or_refused_but_never_more(mutable: tuple[bytes, Path], changes: list) -> None:
    content, path = mutable
    for change in changes:
        content = mutated(content, *change)
    path.write_bytes(content)

    start = time.process_time()
    try:
        with GgufFile(path) as file:
            everything = [file.metadata[name] for name in file.metadata]
            everything += [file.packed(name).sum() for name in file.tensors]
    except GgufError:
        pass
    assert time.process_time() - start < SMALL_SECONDS


def mutated(content: bytes, how: str, at: int, what: int) -> bytes:
    if not content:
        return content
    at %= len(content)
    if how == "flip":
        return content[:at] + bytes([content[at] ^ 1 << what]) + content[at + 1 :]
    if how == "number":
        return content[:at] + struct.pack("<Q", what) + content[at + 8 :]
    if how == "cut":
        return content[:at]
    return content[:at] + content[what % len(content) :]


def sound_file(folder: Path) -> bytes:
    """A small file of every kind of value, written by gguf-py."""
    writer = GGUFWriter(folder / "sound.gguf", "llama")
    writer.add_custom_alignment(64)
    writer.add_name("日本")
    for kind, value in (("uint8", 200), ("int8", -3), ("uint16", 60_000), ("int16", -5), ("int32", -6)):
        getattr(writer, f"add_{kind}")(f"a.{kind}", value)
    writer.add_uint64("a.uint64", 2**63)
    writer.add_float64("a.float64", 0.1)
    writer.add_bool("a.bool", True)
    writer.add_array("a.tokens", ["<s>", "ア", "", "\n" * 50])
    writer.add_array("a.scores", [0.5, -1.0])
    writer.add_array("a.flags", [True, False])
    writer.add_tensor("norm", np.arange(8, dtype=np.float32))
    writer.add_tensor("half", np.ones((3, 4, 8), np.float16))
    blocks = np.arange(4 * 34, dtype=np.uint8).reshape(2, 68)
    writer.add_tensor("packed", blocks, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (folder / "sound.gguf").read_bytes()


def assert_same(file: GgufFile, oracle: GGUFReader) -> None:
    theirs = {name: field for name, field in oracle.fields.items() if not name.startswith("GGUF.")}
    assert list(file.metadata) == list(theirs)
    for name, field in theirs.items():
        ours = file.metadata[name]
        if file.metadata.length(name) == 1 and not isinstance(ours, list | np.ndarray):
            assert ours == field.contents(), name
            continue
        assert len(ours) == len(field.data), name
        for at in {*range(0, len(ours), 97), len(ours) - 1}:  # gguf-py needs ten seconds for all of them
            part = field.parts[field.data[at]]
            expected = bytes(part).decode("utf-8", "surrogateescape") if isinstance(ours, list) else part[0]
            assert ours[at] == expected, (name, at)
    assert list(file.tensors) == [their.name for their in oracle.tensors]
    for their in oracle.tensors:
        info = file.tensors[their.name]
        assert info.kind.name == their.tensor_type.name
        assert info.shape == tuple(reversed(their.shape.tolist()))
        assert (info.offset, info.nbytes) == (their.data_offset, their.n_bytes)
    for their in oracle.tensors[:3]:
        assert file.packed(their.name).tobytes() == their.data.tobytes()


def measure(paths: list[Path]) -> list[tuple[str, float, int]]:
    program = Path(__file__).with_name("measure.py")
    child = subprocess.run(
        [sys.executable, program, *paths], check=True, capture_output=True, text=True, cwd=paths[0].parent
    )
    rows = [line.split() for line in child.stdout.splitlines()]
    return [(outcome, float(seconds), int(kib)) for outcome, seconds, kib in rows]
