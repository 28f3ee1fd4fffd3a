"""Reading a run's events while the run writes them."""

import json
from pathlib import Path

from llmlora.jobs.mirror import Position, read_new


def lines(*steps: int) -> str:
    return "".join(json.dumps({"event": "step", "step": step}) + "\n" for step in steps)


def test_a_file_that_is_replaced_while_it_is_read_is_read_anew(tmp_path: Path, monkeypatch):
    path = tmp_path / "events.jsonl"
    path.write_text(lines(1, 2, 3))
    _, position = read_new(path, Position())
    plain = Path.open

    def replaced(self: Path, mode: str):
        file = plain(self, mode)
        (tmp_path / "new").rename(path)
        return file

    (tmp_path / "new").write_text(lines(1))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", replaced)
        _, position = read_new(path, position)
    with path.open("a") as file:
        file.write(lines(20, 30, 40))

    told, _ = read_new(path, position)

    assert [line.step for line in told] == [1, 20, 30, 40]
