"""SIGKILL at random steps and inside every sub-step of a save: the run resumes, and ends in the same bytes."""

import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.small_run import adapter_bytes, events

pytestmark = pytest.mark.trip


def child(directory: Path, out: Path, wanted: str, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.train.killed", str(directory), str(out), wanted, str(number)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def told(out: Path) -> list[tuple[int, float]]:
    return [(event["step"], event["loss"]) for event in events(out) if event["event"] == "step"]


def test_a_killed_run_resumes_and_ends_in_the_same_bytes(tmp_path: Path):
    whole = child(tmp_path, tmp_path / "whole", "step", 0)
    fsyncs, renames, steps = map(int, whole.stdout.split())
    random_steps = random.Random(7).sample(range(1, steps + 1), 3)
    cuts = [
        *(("fsync", number) for number in range(1, fsyncs + 1, 2)),
        *(("rename", number) for number in range(1, renames + 1)),
        *(("step", number) for number in random_steps),
    ]

    def survives(cut: tuple[str, int]) -> None:
        out = tmp_path / f"{cut[0]}-{cut[1]}"
        killed = child(tmp_path, out, *cut)
        assert killed.returncode == -signal.SIGKILL, (cut, killed.stderr)
        again = child(tmp_path, out, "step", 0)
        assert again.returncode == 0, (cut, again.stderr)
        assert adapter_bytes(out) == adapter_bytes(tmp_path / "whole"), cut
        assert told(out) == told(tmp_path / "whole"), cut
        assert not list(out.rglob(".staging-*")), cut
        assert not list(out.rglob(".trash-*")), cut

    assert len(cuts) > 15
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(survives, cuts))
