"""From a run's events.jsonl into the store.

The file is the truth. New lines are copied; when a resumed attempt has cut the file back, what the store knows beyond
the common beginning is forgotten, watchers are told how far (`rewound`), and the rest is copied again.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from llmlora.store import events
from llmlora.store.events import Line


@dataclass(frozen=True)
class Position:
    """How far a file was read: which file, and bytes of whole lines. None: compare it with the store first."""

    inode: int | None = None
    offset: int = 0


def read_new(path: Path, position: Position) -> tuple[list[Line], Position]:
    """Whole lines after `position`, from the beginning when the file was replaced."""
    try:
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino  # of what is read, whatever has the name by now
            offset = position.offset if inode == position.inode else 0
            file.seek(offset)
            text = file.read()
    except OSError:
        return [], position
    whole = text[: text.rfind(b"\n") + 1]
    return [_line(line) for line in whole.splitlines()], Position(inode, offset + len(whole))


def reconcile(connection: Connection, job_id: str, lines: list[Line]) -> list[Line]:
    """Make the store's copy a beginning of `lines`; what is still to be appended."""
    known = events.mirrored(connection, job_id)
    same = 0
    while same < min(len(known), len(lines)) and known[same].body == lines[same].body:
        same += 1
    if same < len(known):
        events.forget(connection, job_id, known[same].seq)
        step = lines[same - 1].step if same else -1
        events.tell(connection, job_id, "rewound", {"step": step, "kept": same}, max(step, 0))
    return lines[same:]


def _line(raw: bytes) -> Line:
    body = raw.decode()
    event = json.loads(body)
    return Line(event["event"], event["step"], body)


def value_of(line: Line, name: str) -> Any:
    """A value of the event in a line."""
    return json.loads(line.body).get(name)
