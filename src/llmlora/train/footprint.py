"""How much memory this process takes at its peak.

Pages of a mapped file count as resident, yet the system takes them back when others want memory; anonymous ones are
the process's own. Linux keeps the peak of all (VmHWM) and tells only the present of the latter (RssAnon), so that is
looked at often. Elsewhere the resident set stands for both.
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

STATUS = Path("/proc/self/status")
EVERY_SECONDS = 0.02


class Footprint:
    """Peaks in bytes, from the entry of the `with` block on; `resident` since the process began, where that is told."""

    def __init__(self) -> None:
        self.resident = self.anonymous = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            resident, anonymous = _now()
            self.resident, self.anonymous = max(self.resident, resident), max(self.anonymous, anonymous)
            if self._done.wait(EVERY_SECONDS):
                return


def _now() -> tuple[int, int]:
    if not STATUS.exists():
        resident: int = psutil.Process().memory_info().rss
        return resident, resident
    told = dict(line.split(":", 1) for line in STATUS.read_text("ascii", "replace").splitlines() if ":" in line)
    peak, anonymous = (int(told[name].split()[0]) * 1024 for name in ("VmHWM", "RssAnon"))
    return peak, anonymous
