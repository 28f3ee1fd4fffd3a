"""A file of any format, opened as parsed rows that are not interpreted yet.

It is judged by its content, not its name: `PAR1` is Parquet, `[` opens a JSON list, `{` JSON lines or one object
holding a list, anything else is CSV with a header.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llmlora.data.columns import Columns
from llmlora.data.csv_rows import csv_rows
from llmlora.data.json_rows import json_format, line_rows, list_rows, object_rows
from llmlora.data.textfile import TextFile, look_at, open_text

Format = Literal["json", "jsonl", "csv", "parquet"]
PARQUET = b"PAR1"


@dataclass(frozen=True)
class Rows:
    """Rows with the numbers people count; a RowError in the place of one that could not be parsed."""

    format: Format
    encoding: str | None  # of text
    rows: Iterator[tuple[int, Any]]


def open_rows(path: Path, given: Columns, any_columns: bool = False) -> Rows:
    """Look at a file and begin to read it; with `any_columns`, a table whose columns make no conversation will do.

    Raises:
        DataUnreadable: not a file of rows at all; also later, from `rows`.
    """
    head = look_at(path)
    if head.startswith(PARQUET):
        # loaded only where there is such a file, and only in the child that reads it
        from llmlora.data.parquet_rows import parquet_rows  # noqa: PLC0415

        return Rows("parquet", None, parquet_rows(path, given, any_columns))
    file = open_text(path, head)
    with file.open() as text:
        opening = _first_character(text.read)
    if not opening:
        file.refuse("empty")
    if opening == "[":
        return Rows("json", file.encoding, list_rows(file))
    if opening != "{":
        return Rows("csv", file.encoding, csv_rows(file, given, any_columns))
    if _one_object(file, given):
        return Rows("json", file.encoding, object_rows(file, given))
    return Rows("jsonl", file.encoding, line_rows(file))


def _one_object(file: TextFile, given: Columns) -> bool:
    lines = (line for _, line in file.lines() if line is None or line.strip())
    return json_format(file, next(lines), next(lines, ""), given) == "json"


def _first_character(read: Callable[[int], str]) -> str:
    while piece := read(4096):
        if stripped := piece.lstrip():
            return stripped[0]
    return ""
