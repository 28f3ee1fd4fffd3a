"""Files of rows into messages that go through a pipe: conversations and problems in bulk, then what there was in all.

{"file", "format", "encoding"}                              a file begins
{"file", "rows": [[row, [[role, content, trained?], …]], …], "problems": [[row, code, detail], …]}
{"file", "unreadable": words}                               the end: this file cannot be read
{"shapes": {…}, "unused": {…}, "columns": {…}}              the end: all has been said

Of how a file begins, one message: {"format", "encoding", "names", "rows": [[row, [text, …]], …], "guessed"}.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from llmlora.data.columns import Columns, choose_columns
from llmlora.data.open_rows import open_rows
from llmlora.data.shapes import RowError, interpret, printable
from llmlora.data.textfile import refuse
from llmlora.errors import DataUnreadable
from llmlora.text.catalogue import Words

MAX_ROWS = 2_000_000  # each takes about half a kilobyte and more
BATCH_ROWS, BATCH_CHARACTERS = 1_000, 2**20
MAX_NAMES, SHOWN = 1_000, 80
HEAD_ROWS, HEAD_NAMES, NAME_SHOWN, TEXT_SHOWN = 5, 200, 500, 300
Message = dict[str, Any]


def parse(paths: Sequence[Path], given: Columns) -> Iterator[Message]:
    """All that is in some files."""
    found = _Found(given)
    for number, path in enumerate(paths):
        try:
            for message in found.in_file(path):
                yield {"file": number, **message}
            if number == len(paths) - 1:
                found.need_columns(path)
        except (DataUnreadable, OSError) as error:
            yield _unreadable(number, error)
            return
    yield {"shapes": found.shapes, "unused": found.unused, "columns": found.columns}


def head(path: Path) -> Message:
    """How a file begins, whatever its columns are called; texts are cut."""
    try:
        source = open_rows(path, {}, any_columns=True)
        first = list(islice(source.rows, HEAD_ROWS))
    except (DataUnreadable, OSError) as error:
        return _unreadable(0, error)
    rows = [(number, value) for number, value in first if isinstance(value, Mapping)]
    names = list(dict.fromkeys(name for _, row in rows for name in row))[:HEAD_NAMES]
    return {
        "format": source.format,
        "encoding": source.encoding,
        "names": [printable(name, NAME_SHOWN) for name in names],
        "rows": [(number, [_cell(row.get(name, "")) for name in names]) for number, row in rows],
        "guessed": choose_columns(names, {}),
    }


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=lambda _: "…")
    return printable(text, TEXT_SHOWN)


def _unreadable(number: int, error: DataUnreadable | OSError) -> Message:
    if isinstance(error, DataUnreadable):
        return {"file": number, "unreadable": error.problem.to_json()}
    return {"file": number, "unreadable": Words("unreadable.not_opened", {"reason": str(error)}).to_json()}


class _Found:
    """What several files have held so far."""

    def __init__(self, given: Columns) -> None:
        self.given, self.rows = given, 0
        self.lacking, self.names = set(given.values()), list[str]()
        self.shapes, self.unused, self.columns = Counter[str](), Counter[str](), dict[Any, str]()

    def in_file(self, path: Path) -> Iterator[Message]:
        source = open_rows(path, self.given)
        yield {"format": source.format, "encoding": source.encoding}
        before, rows, problems, characters = self.rows, list[Any](), list[Any](), 0
        for number, value in source.rows:
            self.rows += 1
            if self.rows > MAX_ROWS:
                refuse(path, "too_many_rows", limit=f"{MAX_ROWS:,}")
            try:
                turns = self._turns(value)
            except RowError as error:
                problems.append((number, error.code, error.detail))
            else:
                rows.append((number, turns))
                characters += sum(len(turn[1]) for turn in turns)
            if len(rows) + len(problems) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                yield {"rows": rows, "problems": problems}
                rows, problems, characters = [], [], 0
        if self.rows == before:
            refuse(path, "no_rows")
        yield {"rows": rows, "problems": problems}

    def need_columns(self, path: Path) -> None:
        """Raises DataUnreadable when a column that was given is in no row at all."""
        if self.lacking:
            refuse(path, "no_such_column", given=sorted(self.lacking), names=self.names)

    def _turns(self, value: Any) -> list[Any]:
        if isinstance(value, dict):
            self.lacking -= value.keys()
            self.names = self.names or [printable(name, SHOWN) for name in islice(value, SHOWN)]
        row = interpret(value, self.given)
        self.shapes[row.shape] += 1
        self.columns = {**row.columns, **self.columns}
        used = row.columns.values()
        for name in [printable(name, SHOWN) for name in value if name not in used]:
            if name in self.unused or len(self.unused) < MAX_NAMES:
                self.unused[name] += 1
        return [(t.role, t.content) if t.trained else (t.role, t.content, False) for t in row.turns]
