"""`llmlora train` as a child process whose memory is watched while it runs (Linux)."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmlora.recipe import Recipe

GROUPS = Path("/sys/fs/cgroup")
PAUSE = 0.02  # seconds between two looks
WATCHED = ("VmHWM", "RssAnon", "RssFile", "VmData")


@dataclass
class Watched:
    """The most bytes seen of each kind, and what the run wrote. Bytes and seconds."""

    most: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WATCHED, 0))
    limited_by: list[str] = field(default_factory=list)
    status: int = 0
    seconds: float = 0.0
    plan: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def per_step(self) -> float:
        """Mean seconds of a step but for the first, which compiles."""
        times = [step["tokens"] / step["tokens_per_second"] for step in self.steps[1:]]
        return sum(times) / len(times)

    @property
    def predicted_per_step(self) -> float:
        return float(self.plan["seconds"]) / int(self.plan["total_steps"])


def train_watched(recipe: Recipe, out: Path, limit: int | None = None, allocation_limit: int | None = None) -> Watched:
    """Train a recipe into `out`: under a limit of bytes altogether where the system lets one be set, and under one of what
    is allocated, which is a setting of the program and held by the system.
    """
    group = _group(limit) if limit else None
    seen = Watched(limited_by=["cgroup v2"] * bool(group) + ["RLIMIT_DATA"] * bool(allocation_limit))
    setting = {"LLMLORA_MEMORY_LIMIT": str(allocation_limit // 2**20)} if allocation_limit else {}

    def join() -> None:
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()), "ascii")

    command = [sys.executable, "-m", "llmlora", "train", "--out", str(out), *recipe.to_flags()]
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command,
            preexec_fn=join,  # noqa: PLW1509 - this process has one thread
            env=os.environ | setting,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            while child.poll() is None:
                _look(child.pid, seen.most)
                time.sleep(PAUSE)
        finally:
            child.kill()
            seen.status, seen.seconds = child.wait(), time.monotonic() - began
            if group:
                group.rmdir()
        log.seek(0)
        seen.log = log.read().decode("utf-8", "replace")
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
