"""Parquet files become conversations, or are refused before anything in them is decoded."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmlora.data import parquet_rows, read
from llmlora.data.conversation import Turn
from llmlora.data.parse import parse
from llmlora.data.read import collect, read_conversations
from llmlora.errors import DataUnreadable

TALK = [
    {"role": "user", "content": "首都は？", "weight": None},
    {"role": "assistant", "content": "東京", "weight": 1},
    {"role": "user", "content": "人口は？", "weight": None},
    {"role": "assistant", "content": "知らない", "weight": 0},
]


@pytest.fixture
def file(tmp_path: Path):
    def write(table: pa.Table | dict, **options) -> Path:
        path = tmp_path / "rows"
        pq.write_table(pa.table(table) if isinstance(table, dict) else table, path, **options)
        return path

    return write


def problem_of(path: Path) -> str:
    with pytest.raises(DataUnreadable) as caught:
        collect([path], parse([path], {}))
    return caught.value.problem.key


def test_columns_are_guessed_and_only_those_are_read(file):
    path = file({"指示": ["a", "b"], "出力": ["c", None], "日付": pa.array([0, 1], pa.timestamp("s"))})

    found = read_conversations(path)

    assert (found.files[0].format, found.files[0].encoding) == ("parquet", None)
    assert found.columns == {"instruction": "指示", "output": "出力"}
    assert [one.turns for one in found.conversations] == [(Turn("user", "a"), Turn("assistant", "c"))]
    assert [(one.row, one.code) for one in found.problems] == [(2, "not_text")]


def test_a_column_of_messages_is_a_list_of_structures(file):
    found = read_conversations(file({"messages": [TALK], "id": [1]}))

    assert [turn.trained for turn in found.conversations[0].turns if turn.role == "assistant"] == [True, False]


def test_rows_are_counted_across_row_groups(file):
    path = file({"text": [str(n) for n in range(1000)]}, row_group_size=37)

    found = collect([path], parse([path], {}))

    assert [(one.row, one.turns[0].content) for one in found.conversations] == [(n + 1, str(n)) for n in range(1000)]


CANARY = "import pathlib; pathlib.Path({!r}).touch()"


class Pickled:
    """What executes when it is unpickled."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self):
        return exec, (self.code,)


@pytest.mark.parametrize("name", [b"arrow.py_extension_type", b"ray.data.arrow_tensor", b"anything"])
@pytest.mark.parametrize("nested", [False, True])
def test_extension_types_are_refused_and_nothing_in_them_runs(file, tmp_path, name, nested):
    import pickle

    canary = tmp_path / "canary"
    metadata = {
        b"ARROW:extension:name": name,
        b"ARROW:extension:metadata": pickle.dumps(Pickled(CANARY.format(str(canary)))),
    }
    hostile = pa.field("x", pa.binary(), metadata=metadata)
    field = pa.field("outer", pa.struct([hostile])) if nested else hostile
    values = pa.array([{"x": b"0"}] if nested else [b"0"], field.type)
    path = file(pa.table([pa.array(["a"]), values], schema=pa.schema([("text", pa.string()), field])))
    assert b"ARROW:schema" in path.read_bytes()

    with pytest.raises(DataUnreadable) as caught:
        read_conversations(path)

    assert caught.value.problem.key == "unreadable.parquet_extension"
    assert not canary.exists()


def test_extension_types_that_pyarrow_knows_are_refused_too(file):
    assert problem_of(file({"text": ["a"], "id": pa.array([b"0" * 16], pa.uuid())})) == "unreadable.parquet_extension"


def deep(levels: int) -> pa.DataType:
    kind = pa.string()
    for _ in range(levels):
        kind = pa.list_(kind)
    return kind


def test_deep_nesting_is_refused_wherever_it_is(file):
    for levels, key in ((7, None), (8, "unreadable.parquet_depth")):
        path = file({"text": ["a"], "deep": pa.array([None], deep(levels))})
        if key:
            assert problem_of(path) == key
        else:
            assert collect([path], parse([path], {})).conversations


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0], pa.timestamp("s")),
        pa.array([b"a"]),
        pa.array([1]).cast(pa.decimal128(20)),
        pa.array([{"a": b"x"}]),
        pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())),
        pa.array(["a"]).dictionary_encode(),
    ],
)
def test_other_types_are_refused_in_the_columns_that_are_needed(file, column):
    assert problem_of(file({"text": column})) == "unreadable.parquet_type"


def test_columns_and_row_groups_have_upper_bounds(file, monkeypatch):
    path = file({"text": ["a"] * 3, "x": [1] * 3}, row_group_size=1)

    for name, most in (("MAX_COLUMNS", 1), ("MAX_ROW_GROUPS", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(parquet_rows, name, most)
            assert problem_of(path) == "unreadable.parquet_too_many"


def test_names_that_tell_nothing_and_names_that_come_twice(file):
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])

    assert problem_of(file({"a1": ["x"], "a2": ["y"]})) == "unreadable.no_known_columns"
    assert problem_of(file(twice)) == "unreadable.column_twice"
    assert problem_of(file({"text": pa.array([], pa.string())})) == "unreadable.no_rows"


def test_a_text_that_is_not_utf8_costs_its_row_only(file):
    broken = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffb")]
    )
    path = file({"text": broken})

    found = collect([path], parse([path], {}))

    assert [one.row for one in found.conversations] == [1, 3]
    assert [(one.row, one.code) for one in found.problems] == [(2, "not_utf8")]


@pytest.mark.parametrize("cut", [4, 12, -1, -8, -40])
def test_a_damaged_file_is_refused(file, cut):
    path = file({"text": ["a"] * 100})
    path.write_bytes(path.read_bytes()[:cut])

    assert problem_of(path) == "unreadable.parquet"


def test_damage_anywhere_is_read_or_refused(file, tmp_path):
    whole = file({"text": ["a", "b"], "messages": [TALK, TALK]}).read_bytes()
    path = tmp_path / "damaged"
    paths = []
    for place in range(4, len(whole), 151):
        path = tmp_path / f"damaged{place}"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        paths.append(path)

    for path in paths:
        try:
            told = json.dumps([one.row for one in read_conversations(path).conversations])
        except DataUnreadable as error:
            told = str(error)
        assert told


def test_a_page_that_unpacks_to_more_than_memory_is_refused(file, monkeypatch):
    monkeypatch.setattr(read, "MEMORY_BYTES", 512 * 2**20)
    path = file({"text": ["a" * 200_000_000]}, compression="zstd", write_statistics=False)
    assert path.stat().st_size < 2**20

    with pytest.raises(DataUnreadable) as caught:
        read_conversations(path)

    assert caught.value.problem.key == "unreadable.memory"
