"""From the command to the first answer: `llmlora serve`, beside what its two libraries alone take to load.

    python benchmarks/startup.py

Promised: 1.5 s warm (median of five), 3 s with an empty data directory; 3 s to answer again after the web process is
killed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.api.server import serving

ROUNDS = 5


def first_answer(home: Path) -> float:
    began = time.perf_counter()
    with serving(home) as server:
        server.status("/healthz")
        return time.perf_counter() - began


def answer_after_kill(home: Path) -> float:
    with serving(home) as server:
        server.status("/healthz")
        server.child("llmlora.api").kill()
        began = time.perf_counter()
        while True:
            with suppress(ConnectionError):
                server.status("/healthz")
                return time.perf_counter() - began


def loading_alone() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import fastapi, uvicorn"], check=True)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        empty = [first_answer(Path(directory) / str(number)) for number in range(ROUNDS)]
        warm = [first_answer(Path(directory) / "0") for _ in range(ROUNDS)]
        killed = [answer_after_kill(Path(directory) / "0") for _ in range(ROUNDS)]
    peer = statistics.median(loading_alone() for _ in range(ROUNDS))
    for what, times in (("empty directory", empty), ("warm", warm), ("after a kill", killed)):
        median = statistics.median(times)
        print(f"first answer, {what:16} {median:5.2f} s  (worst {max(times):.2f}; {median / peer:.1f} x the peer)")
    print(f"peer: import fastapi, uvicorn {peer:6.2f} s")


if __name__ == "__main__":
    main()
