"""The process that does one job: it trains, exports, registers or pulls, and writes nothing but its own directory.

    python -I -m llmlora.jobs.worker       the task as one JSON line on standard input, which then stays open

The last line on standard output is the outcome: {"result": …}, {"interrupted": true} or {"error": {code, facts}}.
SIGTERM asks for the end after the step at hand; when the runner dies, so does this process.
"""

import faulthandler
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from llmlora.child import die_with_parent
from llmlora.confine import limit_allocation
from llmlora.failure import LlmloraError
from llmlora.openmp import wait_briefly
from llmlora.paths import Home, Run

NICENESS = 10  # the interface stays quick while all cores train
OOM_SCORE = 500  # when memory runs out, the kernel ends this process and not the server
Task = dict[str, Any]
Tell = Callable[[Task], None]
Stop = Callable[[], bool]

# kind → the function that does it: (task, tell, stop) → result, or None when it was interrupted
DOERS = {
    "train": "llmlora.jobs.worker:train",
    "export": "llmlora.jobs.export:export",
    "register": "llmlora.jobs.register:register",
    "pull": "llmlora.jobs.pull:pull",
}


def main() -> None:
    """Do the job of the first line of standard input."""
    die_with_parent()
    faulthandler.enable()  # a stalled process is ended by SIGABRT, and its stacks are in the log
    wait_briefly()
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    _be_modest(task.get("memory_limit_mb"))
    outcome = _outcome(task, asked.is_set)
    protocol.write(json.dumps(outcome, ensure_ascii=False) + "\n")
    protocol.flush()
    os._exit(0)  # no thread of a library may keep the process


def train(task: Task, tell: Tell, stop: Stop) -> Task | None:  # noqa: ARG001 - a run tells by itself
    """Begin the run of `task["recipe"]` in `task["out"]`, or continue it."""
    from llmlora.recipe import make_recipe  # noqa: PLC0415 - torch is loaded when a job needs it
    from llmlora.train.prepare import prepare  # noqa: PLC0415
    from llmlora.train.run import attempt, finished_outcome, ignore, prepare_again, start  # noqa: PLC0415

    out, home = Path(task["out"]), Home(Path(task["home"]))
    stores = [Path(store) for store in task["stores"]]
    how = {"fetch": False, "ollama": task["ollama_address"]}
    if Run(out).recipe.is_file():
        finished = finished_outcome(out)
        outcome = finished or attempt(prepare_again(out, home, stores, **how), out, ignore, stop)
    else:
        outcome = start(prepare(make_recipe(task["recipe"]), home, stores, **how), out, ignore, stop)
    if outcome.final_model is None:
        return None
    facts = asdict(outcome)
    return {name: facts[name] for name in ("step", "loss", "eval_loss")}


def _outcome(task: Task, stop: Stop) -> Task:
    module, _, name = DOERS[task["kind"]].partition(":")
    try:
        result = getattr(import_module(module), name)(task, _teller(Run(Path(task["out"])).events), stop)
    except LlmloraError as error:
        return {"error": error.to_json()}
    return {"interrupted": True} if result is None else {"result": result}


def _teller(path: Path) -> Tell:
    def tell(event: Task) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")

    return tell


def _end_with_input() -> None:
    """The runner holds the other end; when it is gone on a system without parent-death signals, this ends us."""
    while sys.stdin.read(1):
        pass
    os._exit(1)


def _be_modest(limit_mb: int | None) -> None:
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), "ascii")
    if limit_mb is not None:
        limit_allocation(limit_mb * 2**20)


if __name__ == "__main__":
    main()
