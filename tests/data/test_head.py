"""How a file begins, for who is to say which column holds what."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmlora.data.parse import HEAD_ROWS, TEXT_SHOWN
from llmlora.data.read import Head, read_head
from llmlora.errors import DataUnreadable


@pytest.fixture
def head(tmp_path: Path):
    def look(content: bytes) -> Head:
        path = tmp_path / "rows"
        path.write_bytes(content)
        return read_head(path)

    return look


def test_a_table_of_unknown_columns_is_parted_by_what_makes_the_most_of_them(head):
    found = head("件名;対応,内容;番号\n返品;はい,できます;1\n".encode("cp932"))

    assert (found.format, found.encoding, found.names) == ("csv", "cp932", ["件名", "対応,内容", "番号"])
    assert found.rows == [[1, ["返品", "はい,できます", "1"]]]
    assert found.guessed == {}


def test_columns_that_make_a_conversation_go_before_many(head):
    found = head(b"prompt\tcompletion\ta, b, c, d\na\tb\tc\n")

    assert found.guessed == {"instruction": "prompt", "output": "completion"}


def test_only_the_beginning_is_told_and_long_texts_are_cut(head):
    found = head(b'{"foo": "' + b"x" * 1000 + b'"}\n' + b'{"foo": 1}\n' * 100)

    assert len(found.rows) == HEAD_ROWS
    assert found.rows[0][1] == ["x" * TEXT_SHOWN]


def test_rows_that_cannot_be_read_are_passed_over(head):
    assert head(b'{"foo": "a"}\n{"foo": \n7\n{"foo": "b"}').rows == [[1, ["a"]], [4, ["b"]]]


def test_parquet_tells_the_columns_of_types_we_know(head):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"foo": ["a"], "picture": pa.array([b"x"])}), sink)

    found = head(sink.getvalue().to_pybytes())

    assert (found.format, found.names, found.rows) == ("parquet", ["foo"], [[1, ["a"]]])


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"GGUF", "model"), (b"", "empty"), (b"foo,foo\na,b\n", "column_twice"), (b"foo\rbar\rbaz", "carriage_returns")],
)
def test_what_is_no_table_has_no_columns(head, content: bytes, code: str):
    with pytest.raises(DataUnreadable) as caught:
        head(content)

    assert caught.value.problem.key == f"unreadable.{code}"
