"""One attempt at a job: its directory, and the process that works in it.

Every attempt has a directory of its own, so that an old one that wakes up again spoils nothing. It begins as a copy
of the last attempt's: checkpoints are linked, because their files never change, and appended files are copied.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmlora.paths import Home, Run
from llmlora.train.commit import STAGING, sweep

WORKER = (sys.executable, "-I", "-m", "llmlora.jobs.worker")
LOG_BYTES = 65536
APPENDED = (Run(Path()).events.name, Run(Path()).log.name)
# what a worker needs of our environment; secrets are not in it
PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "CUDA_VISIBLE_DEVICES"),
    *("HF_HOME", "HF_HUB_CACHE"),  # where models of the hub are; a job downloads none, so it needs no HF_TOKEN
)


def make_directory(home: Home, job_id: str, epoch: int) -> Path:
    """The directory of a new attempt, a continuation of the newest one that got anywhere."""
    job, target = home.job(job_id), home.attempt(job_id, epoch)
    job.mkdir(parents=True, exist_ok=True)
    sweep(job)
    staging = job / f"{STAGING}{target.name}"
    previous = next((path for path in _newest_first(job) if Run(path).recipe.is_file()), None)
    if previous is None:
        staging.mkdir()
    else:
        _continue(previous, staging)
    staging.rename(target)
    return target


def keep_only(home: Home, job_id: str, epoch: int) -> None:
    """Remove what other attempts than `epoch` left."""
    for path in _newest_first(home.job(job_id)):
        if path != home.attempt(job_id, epoch):
            shutil.rmtree(path, ignore_errors=True)


def _newest_first(job: Path) -> list[Path]:
    found = [path for path in job.glob("a*") if path.name[1:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[1:]), reverse=True)


def _continue(previous: Path, staging: Path) -> None:
    def take(source: str, target: str) -> None:
        with suppress(FileNotFoundError):  # the old attempt may still be alive, and drop a checkpoint
            if Path(source).name in APPENDED:
                shutil.copyfile(source, target)
            else:
                _link(source, target)

    hidden = shutil.ignore_patterns(".*")
    with suppress(shutil.Error):
        shutil.copytree(previous, staging, copy_function=take, ignore=hidden)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


class Process:
    """The running worker."""

    def __init__(self, task: dict[str, Any]) -> None:
        """Start the worker in a session of its own, so that it and all it starts can be ended together."""
        self.out = Path(task["out"])
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with Run(self.out).log.open("ab") as log:
            self._log_begin = log.tell()
            self._process = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self.started = time.monotonic()
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: it was asked for
        with suppress(BrokenPipeError):  # it died at once: `code` will say so
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def code(self) -> int | None:
        """The exit code once it has ended, negative for a signal."""
        return self._process.poll()

    def outcome(self) -> dict[str, Any]:
        """The last words of an ended worker; empty when it died without any."""
        assert self._process.stdout is not None  # noqa: S101 - as above
        lines = self._process.stdout.read().splitlines()
        with suppress(ValueError, IndexError):
            outcome: dict[str, Any] = json.loads(lines[-1])
            return outcome
        return {}

    def log(self) -> str:
        """The end of what it has printed; nothing when the directory has vanished."""
        with suppress(OSError), Run(self.out).log.open("rb") as log:
            log.seek(max(self._log_begin, log.seek(0, os.SEEK_END) - LOG_BYTES))
            return log.read().decode("utf-8", "replace")
        return ""

    def signal(self, number: int) -> None:
        """Tell the worker and everything it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        """End it, whatever it is doing, with all that it has started."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
