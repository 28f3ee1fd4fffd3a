"""Opens the files named on the command line and prints what each cost: a child of its own, so that memory is told.

For each file, one line: outcome, CPU seconds (the best of three), KiB by which the peak of the process grew.
"""

import sys
import time
from pathlib import Path

from llmlora.errors import GgufError
from llmlora.gguf.reader import GgufFile


def memory(what: str) -> int:
    """KiB: VmRSS is what is resident now, VmHWM the most there was since the mark was reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0])


def attempt(path: Path) -> tuple[str, float]:
    start = time.process_time()
    try:
        with GgufFile(path):
            outcome = "opened"
    except GgufError:
        outcome = "refused"
    return outcome, time.process_time() - start


attempt(Path("/"))  # pays for what Python loads late
for name in sys.argv[1:]:
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    outcome, seconds = min(attempt(Path(name)) for _ in range(3))
    print(outcome, seconds, memory("VmHWM") - before)
