"""Files into conversations. Every row that cannot be used is reported by its number; nothing is guessed.

A file is judged by its content, not its name: `[` opens a JSON list, `{` JSON lines or one object holding a list,
anything else is CSV with a header.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmlora.data.conversation import Conversation, RowProblem
from llmlora.data.csv_rows import csv_rows
from llmlora.data.json_rows import json_format, line_rows, list_rows, object_rows
from llmlora.data.shapes import RowError, interpret
from llmlora.data.textfile import TextFile, open_text

Format = Literal["json", "jsonl", "csv"]
MAX_ROWS = 2_000_000  # each takes about half a kilobyte and more


@dataclass
class Reading:
    """What a file held. `unused` counts the keys (or columns) that no shape knows."""

    path: Path
    format: Format
    encoding: str
    shapes: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    conversations: list[Conversation] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)


def read_conversations(path: Path) -> Reading:
    """Read a file of rows.

    Raises:
        DataUnreadable: not a file of rows at all: missing, empty, binary, of no known encoding, or too large.
    """
    file = open_text(path)
    kind, rows = _format(file)
    reading = Reading(path, kind, file.encoding)
    try:
        for count, (number, value) in enumerate(rows(file)):
            if count == MAX_ROWS:
                file.refuse(f"it has more than {MAX_ROWS:,} rows; split it")
            _add(reading, number, value)
    except OSError as error:
        file.refuse(error.strerror or str(error))
    if not reading.conversations and not reading.problems:
        file.refuse("it holds no rows")
    return reading


def _add(reading: Reading, number: int, value: Any) -> None:
    try:
        row = interpret(value)
    except RowError as error:
        reading.problems.append(RowProblem(number, error.code, error.detail))
        return
    reading.shapes[row.shape] += 1
    reading.unused.update(row.unused)
    reading.conversations.append(Conversation(number, row.turns))


def _format(file: TextFile) -> tuple[Format, Callable[[TextFile], Iterator[tuple[int, Any]]]]:
    with file.open() as text:
        opening = _first_character(text.read)
    if not opening:
        file.refuse("it is empty")
    if opening == "[":
        return "json", list_rows
    if opening != "{":
        return "csv", csv_rows
    lines = (line for _, line in file.lines() if line is None or line.strip())
    if json_format(file, next(lines), next(lines, "")) == "json":
        return "json", object_rows
    return "jsonl", line_rows


def _first_character(read: Callable[[int], str]) -> str:
    while piece := read(4096):
        if stripped := piece.lstrip():
            return stripped[0]
    return ""
