"""Rows of CSV files: a header with known column names, then a record a row.

A column `messages` holds JSON. Columns without a name count only where they are filled; Excel's `sep=;` line may come
first.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from llmlora.data.json_rows import parse
from llmlora.data.shapes import QUESTIONS, RowError
from llmlora.data.textfile import MAX_LINE_BYTES, TextFile

DELIMITERS = (",", "\t", ";")
KNOWN = {"messages", "text", *QUESTIONS}
SEPARATOR_LINE = re.compile(r"sep=([,;|\t])\s*", re.IGNORECASE)


def csv_rows(file: TextFile) -> Iterator[tuple[int, Any]]:
    """The records below the header; empty lines are passed over and not counted.

    Raises:
        DataUnreadable: the header names no known column, or a line is too long.
    """
    lines = _lines(file)
    filled = (line for line in lines if line.strip())
    first = next(filled, "")
    delimiters: Sequence[str] = DELIMITERS
    if separator := SEPARATOR_LINE.fullmatch(first):
        first, delimiters = next(filled, ""), (separator[1],)
    delimiter, names = _header(file, first, delimiters)
    records = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    next(records)
    yield from enumerate(_records(records, names), 1)


def _lines(file: TextFile) -> Iterator[str]:
    for number, line in file.lines():
        if line is None:
            file.refuse(f"line {number} is longer than {MAX_LINE_BYTES // 2**20} MiB")
        yield line


def _header(file: TextFile, first: str, delimiters: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter by which the first line names a column we know, and the names."""
    for delimiter in delimiters:
        try:
            names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter, strict=True))]
        except csv.Error:
            continue
        if KNOWN & set(names):
            named = [name for name in names if name]
            if len(set(named)) != len(named):
                file.refuse(f"its header names a column twice ({', '.join(named)[:80]})")
            return delimiter, names
    if "\r" in first.strip():
        file.refuse("its lines end in a carriage return alone, as on old Macintoshes; save it with usual line ends")
    return file.refuse(
        f"it is neither JSON nor CSV with a column we know ({', '.join(sorted(KNOWN))}): {first.strip()[:60]!r}"
    )


def _records(records: Iterator[list[str]], names: list[str]) -> Iterator[Any]:
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            yield RowError("not_csv", str(error))
            continue
        if record and len(record) != len(names):
            yield RowError("wrong_field_count", f"{len(record)} ≠ {len(names)}")
        elif record:
            yield _row(names, record)


def _row(names: Sequence[str], record: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: field for name, field in zip(names, record, strict=True) if name or field}
    if "messages" in row:
        row["messages"] = parse(row["messages"])
    return row
