"""Rows of CSV files: a header with column names that tell what they hold, then a record a row.

A column of messages holds JSON. Columns without a name count only where they are filled; Excel's `sep=;` line may come
first.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from llmlora.data.columns import Columns, choose_columns
from llmlora.data.json_rows import parse
from llmlora.data.shapes import RowError
from llmlora.data.textfile import MAX_LINE, TextFile

DELIMITERS = (",", "\t", ";")
SHOWN = 80
SEPARATOR_LINE = re.compile(r"sep=([,;|\t])\s*", re.IGNORECASE)


def csv_rows(file: TextFile, given: Columns, any_columns: bool = False) -> Iterator[tuple[int, Any]]:
    """The records below the header; empty lines are passed over and not counted.

    Raises:
        DataUnreadable: the header names no columns that make a conversation, unless `any_columns` will do; or a line is
            too long.
    """
    lines = _lines(file)
    filled = (line for line in lines if line.strip())
    first = next(filled, "")
    delimiters: Sequence[str] = DELIMITERS
    if separator := SEPARATOR_LINE.fullmatch(first):
        first, delimiters = next(filled, ""), (separator[1],)
    delimiter, names = _header(file, first, delimiters, given, any_columns)
    conversations = choose_columns(_named(names), given).get("messages")
    records = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    next(records)
    yield from enumerate(_records(records, names, conversations), 1)


def _lines(file: TextFile) -> Iterator[str]:
    for number, line in file.lines():
        if line is None:
            file.refuse("line_too_long", line=number, limit=f"{MAX_LINE:,}")
        yield line


def _header(
    file: TextFile, first: str, delimiters: Sequence[str], given: Columns, any_columns: bool
) -> tuple[str, list[str]]:
    """The delimiter by which the first line names columns that make a conversation, and the names; where any will do,
    the delimiter that makes the most of them.
    """
    headers = [(delimiter, names) for delimiter in delimiters if (names := _names(first, delimiter))]
    fitting = [header for header in headers if choose_columns(_named(header[1]), given)]
    if any_columns:
        fitting += sorted(headers, key=lambda header: -len(header[1]))
    if fitting:
        delimiter, names = fitting[0]
        if len(set(_named(names))) != len(_named(names)):
            file.refuse("column_twice", names=", ".join(_named(names))[:SHOWN])
        return delimiter, names
    if "\r" in first.strip():
        file.refuse("carriage_returns")
    return file.refuse("no_known_columns", header=first.strip()[:SHOWN])


def _names(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error:
        return []


def _named(names: Sequence[str]) -> list[str]:
    return [name for name in names if name]


def _records(records: Iterator[list[str]], names: list[str], conversations: str | None) -> Iterator[Any]:
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            too_long = "limit" in str(error)
            yield RowError("field_too_long", f"{csv.field_size_limit():,}") if too_long else RowError("not_csv", "")
            continue
        if record and len(record) != len(names):
            yield RowError("wrong_field_count", f"{len(record)} ≠ {len(names)}")
        elif record:
            yield _row(names, record, conversations)


def _row(names: Sequence[str], record: Sequence[str], conversations: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {name: field for name, field in zip(names, record, strict=True) if name or field}
    if conversations:
        row[conversations] = parse(row[conversations])
    return row
