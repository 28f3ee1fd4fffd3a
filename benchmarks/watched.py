"""`llmlora train` as a child process whose memory is watched while it runs (Linux)."""

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GROUPS = Path("/sys/fs/cgroup")
PAUSE = 0.02  # seconds between two looks
WATCHED = ("VmHWM", "RssAnon", "RssFile", "VmData")
Limit = str  # how a limit is held: "cgroup v2", "RLIMIT_DATA" or "none"


@dataclass
class Watched:
    """The most bytes seen of each kind, and what the run wrote. Bytes and seconds."""

    most: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WATCHED, 0))
    limited_by: Limit = "none"
    status: int = 0
    seconds: float = 0.0
    plan: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def per_step(self) -> float:
        """Mean seconds of a step but for the first, which compiles."""
        times = [step["tokens"] / step["tokens_per_second"] for step in self.steps[1:]]
        return sum(times) / len(times)

    @property
    def predicted_per_step(self) -> float:
        return float(self.plan["seconds"]) / int(self.plan["total_steps"])


def train_watched(values: dict[str, Any], out: Path, limit: int | None = None) -> Watched:
    """Train a recipe into `out`, under a limit of bytes where one can be set."""
    flags = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    group = _group(limit) if limit else None
    seen = Watched(limited_by="cgroup v2" if group else "RLIMIT_DATA" if limit else "none")

    def limited() -> None:
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()), "ascii")
        elif limit:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    command = [sys.executable, "-m", "llmlora", "train", "--out", str(out), *flags]
    began = time.monotonic()
    child = subprocess.Popen(command, preexec_fn=limited)  # noqa: PLW1509 - this process has one thread
    try:
        while child.poll() is None:
            _look(child.pid, seen.most)
            time.sleep(PAUSE)
    finally:
        child.kill()
        seen.status, seen.seconds = child.wait(), time.monotonic() - began
        if group:
            group.rmdir()
    if seen.status == 0:
        events = [json.loads(line) for line in (out / "events.jsonl").read_text("utf-8").splitlines()]
        seen.steps = [event for event in events if event["event"] == "step"]
        seen.plan = json.loads((out / "plan.json").read_text("utf-8"))["plan"]
    return seen


def _group(limit: int) -> Path | None:
    """A control group of its own with this limit, and no swap; None where the system gives none."""
    group = GROUPS / f"llmlora-{os.getpid()}"
    if not (GROUPS / "cgroup.controllers").is_file():  # a tmpfs with version 1, or no groups at all
        return None
    with suppress(OSError):
        group.mkdir()
        (group / "memory.max").write_text(str(limit), "ascii")
        (group / "memory.swap.max").write_text("0", "ascii")
        return group
    with suppress(OSError):
        group.rmdir()
    return None


def _look(pid: int, most: dict[str, int]) -> None:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
            name, _, rest = line.partition(":")
            if name in most:
                most[name] = max(most[name], int(rest.split()[0]) * 1024)
