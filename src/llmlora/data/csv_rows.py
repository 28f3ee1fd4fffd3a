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


def csv_rows(file: TextFile, given: Columns) -> Iterator[tuple[int, Any]]:
    """The records below the header; empty lines are passed over and not counted.

    Raises:
        DataUnreadable: the header names no columns that make a conversation, or a line is too long.
    """
    lines = _lines(file)
    filled = (line for line in lines if line.strip())
    first = next(filled, "")
    delimiters: Sequence[str] = DELIMITERS
    if separator := SEPARATOR_LINE.fullmatch(first):
        first, delimiters = next(filled, ""), (separator[1],)
    delimiter, names = _header(file, first, delimiters, given)
    conversations = choose_columns([name for name in names if name], given).get("messages")
    records = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    next(records)
    yield from enumerate(_records(records, names, conversations), 1)


def _lines(file: TextFile) -> Iterator[str]:
    for number, line in file.lines():
        if line is None:
            file.refuse("line_too_long", line=number, limit=f"{MAX_LINE:,}")
        yield line


def _header(file: TextFile, first: str, delimiters: Sequence[str], given: Columns) -> tuple[str, list[str]]:
    """The delimiter by which the first line names columns that make a conversation, and the names."""
    for delimiter in delimiters:
        try:
            names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter, strict=True))]
        except csv.Error:
            continue
        named = [name for name in names if name]
        if choose_columns(named, given):
            if len(set(named)) != len(named):
                file.refuse("column_twice", names=", ".join(named)[:SHOWN])
            return delimiter, names
    if "\r" in first.strip():
        file.refuse("carriage_returns")
    return file.refuse("no_known_columns", header=first.strip()[:SHOWN])


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
