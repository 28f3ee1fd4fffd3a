"""What it costs to read rows in a limited child, and to look for near-duplicates among them.

    python benchmarks/read_rows.py

100,000 conversations of 160 characters each, read by the child and by the same code in this process; the best of three.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from llmlora.data.parse import parse
from llmlora.data.read import Reading, collect, read_conversations
from llmlora.data.similar import near_duplicates

ROWS = 100_000
LETTERS = "あいうえおかきくけこさしすせそたちつてとなにぬねの日本東京学校会社人間時間問題答案"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rows.jsonl"
        write_rows(path)
        here, reading = best_of_three(lambda: collect([path], parse([path], {})))
        child, same = best_of_three(lambda: read_conversations(path))
    assert same.conversations == reading.conversations
    print(f"{ROWS:,} conversations: {here:.2f} s in this process, {child:.2f} s by the child, ratio {child / here:.2f}")
    start = time.perf_counter()
    found = len(list(near_duplicates(reading.conversations)))
    print(f"near-duplicates: {time.perf_counter() - start:.2f} s, {found:,} of {ROWS // 10:,} planted ones found")


def write_rows(path: Path) -> None:
    """One row in ten repeats an earlier one but for a character."""
    chance = np.random.default_rng(0)
    letters = np.array(list(LETTERS))[chance.integers(len(LETTERS), size=(ROWS, 160))]
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(letters):
            if number % 10 == 9:
                row[:] = [*letters[chance.integers(number)][:-1], "ん"]
            answer = "".join(row)
            turns = [{"role": "user", "content": answer[:40]}, {"role": "assistant", "content": answer[40:]}]
            file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")


def best_of_three(read: Callable[[], Reading]) -> tuple[float, Reading]:
    """Seconds, and what was read."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        reading = read()
        times.append(time.perf_counter() - start)
    return min(times), reading


if __name__ == "__main__":
    main()
