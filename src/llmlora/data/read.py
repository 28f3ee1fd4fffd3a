"""Files into conversations. Every row that cannot be used is reported by its number; nothing is guessed or dropped.

A file is judged by its content, not its name: `[` opens a JSON list, `{` JSON lines or one object holding a list, anything
else is CSV with a header. Text is UTF-8, with or without a BOM, else CP932 (Shift_JIS as Windows writes it).
"""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from llmlora.data.conversation import Conversation, RowProblem
from llmlora.data.shapes import RowError, fail, turns_of
from llmlora.errors import DataUnreadable

Format = Literal["json", "jsonl", "csv"]
MAX_FILE_BYTES = 2 * 2**30
MAX_LIST_BYTES = 256 * 2**20  # a JSON list is parsed as a whole
MAX_LINE_BYTES = 8 * 2**20
CHUNK = 2**20
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
ENCODINGS = ("utf-8-sig", "cp932")
DELIMITERS = (",", "\t", ";")


@dataclass
class Reading:
    """What a file held."""

    path: Path
    format: Format
    encoding: str
    shapes: Counter[str] = field(default_factory=Counter)
    conversations: list[Conversation] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)


def read_conversations(path: Path) -> Reading:
    """Read a file of rows.

    Raises:
        DataUnreadable: not a file of rows at all: missing, empty, binary, of no known encoding, or too large.
    """
    head = _head(path)
    encoding = _encoding(path, head)
    text = head.decode(encoding, "ignore").lstrip()
    reading = Reading(path, _format(path, text, encoding), encoding)
    rows = {"json": _json_rows, "jsonl": _jsonl_rows, "csv": _csv_rows}[reading.format]
    for number, row in rows(path, encoding):
        _add(reading, number, row)
    if not reading.conversations and not reading.problems:
        _refuse(path, "it holds no rows")
    return reading


def _add(reading: Reading, number: int, row: Any) -> None:
    try:
        if isinstance(row, RowError):
            raise row
        shape, turns = turns_of(row)
    except RowError as error:
        reading.problems.append(RowProblem(number, error.code, error.detail))
        return
    reading.shapes[shape] += 1
    reading.conversations.append(Conversation(number, turns))


def _refuse(path: Path, problem: str) -> NoReturn:
    raise DataUnreadable(path, problem)


def _head(path: Path) -> bytes:
    if not path.exists():
        _refuse(path, "there is no such file")
    if not path.is_file():
        _refuse(path, "it is not a file")
    if path.stat().st_size > MAX_FILE_BYTES:
        _refuse(path, f"it is larger than {MAX_FILE_BYTES // 2**30} GiB")
    try:
        with path.open("rb") as file:
            head = file.read(CHUNK)
    except OSError as error:
        _refuse(path, error.strerror or str(error))
    if head.startswith(UTF16):
        _refuse(path, "it is UTF-16; save it as UTF-8 (in Excel: “CSV UTF-8”)")
    if b"\0" in head:
        _refuse(path, "it is a binary file")
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        _refuse(path, "it is empty")
    return head


def _encoding(path: Path, head: bytes) -> str:
    """The first encoding that the whole file is valid in; a line without end is noticed on the way."""
    is_list = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["
    for encoding in ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        longest = 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    decoder.decode(chunk)
                    longest = longest + len(chunk) if b"\n" not in chunk else len(chunk) - chunk.rindex(b"\n")
                    if longest > MAX_LINE_BYTES and not is_list:
                        _refuse(path, f"a line is longer than {MAX_LINE_BYTES // 2**20} MiB")
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    return _refuse(path, "it is neither UTF-8 nor Shift_JIS (CP932) text")


def _format(path: Path, text: str, encoding: str) -> Format:
    if text.startswith("["):
        return "json"
    if not text.startswith("{"):
        return "csv"
    first = text.split("\n", 1)[0]
    if isinstance(_parsed(first), RowError) and path.stat().st_size <= MAX_LIST_BYTES:
        whole = _parsed(path.read_text(encoding))
        return "jsonl" if isinstance(whole, RowError) else "json"
    return "json" if _holds_a_list(_parsed(first)) else "jsonl"


def _holds_a_list(value: Any) -> bool:
    """One object around the rows, `{"data": [{…}, …]}`; a conversation is a row, not a file."""
    lists = [key for key, item in value.items() if isinstance(item, list)] if isinstance(value, dict) else []
    return len(lists) == 1 and lists != ["messages"]


def _parsed(text: str) -> Any:
    """The value of a JSON text, or the RowError that says why there is none."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except RowError as error:
        return error
    except RecursionError:
        return RowError("nested_too_deeply", "")
    except ValueError as error:
        return RowError("not_json", str(error))


def _no_constant(name: str) -> NoReturn:
    fail("not_a_number", name)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(table := dict(pairs)) != len(pairs):
        fail("duplicate_key", next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return table


def _json_rows(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    if path.stat().st_size > MAX_LIST_BYTES:
        _refuse(path, f"a JSON list larger than {MAX_LIST_BYTES // 2**20} MiB; write one object a line (JSONL)")
    value = _parsed(path.read_text(encoding))
    if isinstance(value, RowError):
        _refuse(path, f"it is not JSON that can be used ({value.code}: {value.detail})")
    if isinstance(value, dict):
        value = next(item for item in value.values() if isinstance(item, list)) if _holds_a_list(value) else [value]
    yield from enumerate(value, 1)


def _jsonl_rows(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    with path.open(encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            if len(line) > MAX_LINE_BYTES:
                yield number, RowError("line_too_long", str(len(line)))
            elif line.strip():
                yield number, _parsed(line)


def _csv_rows(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline(MAX_LINE_BYTES)
        delimiter = max(DELIMITERS, key=first.count)
        names = [name.strip() for name in next(csv.reader(io.StringIO(first), delimiter=delimiter))]
        if not {"messages", "instruction", "text", "prompt", "question"} & set(names):
            _refuse(path, f"its first line names no known column ({', '.join(names)[:80]})")
        yield from enumerate(_csv_records(file, names, delimiter), 1)


def _csv_records(file: io.TextIOBase, names: list[str], delimiter: str) -> Iterator[Any]:
    records = csv.reader(file, delimiter=delimiter, strict=True)
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            yield RowError("not_csv", str(error))
            continue
        if record and len(record) != len(names):
            yield RowError("wrong_field_count", f"{len(record)} / {len(names)}")
        elif record:
            yield dict(zip(names, record, strict=True))
