"""`events.jsonl`: every event of a run, appended as it happens."""

import os
from collections.abc import Callable
from pathlib import Path

from llmlora.files import full_disk_as_error, write_text
from llmlora.train.events import EVENT, Event

OnEvent = Callable[[Event], None]


class Record:
    """Appends events to the file, then passes them on."""

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self.path, self.on_event = path, on_event

    def __call__(self, event: Event) -> None:
        """Write one line with a single write, so that a kill leaves at most the last line torn."""
        line = event.model_dump_json().encode() + b"\n"
        with full_disk_as_error(self.path):
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        self.on_event(event)


def rewind(path: Path, step: int) -> None:
    """Cut the file back to the events of `step` and before: what a resumed run will tell again goes away."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            event = EVENT.validate_json(line)
        except ValueError:  # the torn last line of a killed run
            continue
        if event.step <= step and event.event != "failed":
            kept.append(line.decode() + "\n")
    write_text(path, "".join(kept))
