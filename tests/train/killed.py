"""A child that trains and kills itself: `python -m tests.train.killed DIRECTORY OUT fsync|step|rename N`.

It dies by SIGKILL at the N-th flush or rename of a save, or right after the N-th step; with N = 0 it runs to its end
and prints how many of each there were.
"""

import os
import signal
import sys
from pathlib import Path

from llmlora.train import run
from llmlora.train.events import Event
from tests.small_run import EXACT, home, small_recipe

counts = {"fsync": 0, "rename": 0, "step": 0}


def count(kind: str, wanted: str, number: int) -> None:
    counts[kind] += 1
    if kind == wanted and counts[kind] == number:
        os.kill(os.getpid(), signal.SIGKILL)


def main(directory: Path, out: Path, wanted: str, number: int) -> None:
    import llmlora.train.prepare

    llmlora.train.prepare.probe_machine = lambda: EXACT
    fsync, rename = os.fsync, Path.rename

    def counting_fsync(handle: int) -> None:
        count("fsync", wanted, number)
        fsync(handle)

    def counting_rename(self: Path, target: Path) -> Path:
        count("rename", wanted, number)
        return rename(self, target)

    os.fsync, Path.rename = counting_fsync, counting_rename  # type: ignore[method-assign]

    def on_event(event: Event) -> None:
        if event.event == "step":
            count("step", wanted, number)

    if (out / "recipe.yaml").exists():
        run.resume(out, home(directory), on_event=on_event)
    else:
        run.train(small_recipe(directory), out, home(directory), on_event=on_event)
    print(counts["fsync"], counts["rename"], counts["step"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
