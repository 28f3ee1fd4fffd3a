"""Rows of CSV files: a header with known column names, then a record a row."""

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any

from llmlora.data.shapes import QUESTIONS, RowError
from llmlora.data.textfile import MAX_LINE_BYTES, TextFile

DELIMITERS = (",", "\t", ";")
KNOWN = {"text", *QUESTIONS}


def csv_rows(file: TextFile) -> Iterator[tuple[int, Any]]:
    """The records below the header; empty lines are passed over and not counted.

    Raises:
        DataUnreadable: the header names no known column, or a line is too long.
    """
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), "")
    delimiter, names = _header(file, first)
    records = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    next(records)
    yield from enumerate(_records(records, names), 1)


def _lines(file: TextFile) -> Iterator[str]:
    for number, line in file.lines():
        if line is None:
            file.refuse(f"line {number} is longer than {MAX_LINE_BYTES // 2**20} MiB")
        yield line


def _header(file: TextFile, first: str) -> tuple[str, list[str]]:
    """The delimiter by which the first line names a column we know, and the names."""
    for delimiter in DELIMITERS:
        try:
            names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter, strict=True))]
        except csv.Error:
            continue
        if KNOWN & set(names):
            if len(set(names)) != len(names):
                file.refuse(f"its header names a column twice ({', '.join(names)[:80]})")
            return delimiter, names
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
            yield dict(zip(names, record, strict=True))
